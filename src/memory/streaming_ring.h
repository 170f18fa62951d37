// A ring of bytes for what leaves in the order it came: rows on their way through a pipeline.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>

#include "base/result.h"
#include "memory/memory_pool.h"

namespace tern {

/// Thread rule: one thread at a time.
class StreamingRing {
 public:
  /// A ring of `bytes`, rounded up to 64. The pool must outlive it. Errors: kResourceExhausted.
  static Result<StreamingRing> Create(MemoryPool& pool, size_t bytes);

  /// The next block, aligned to 64 bytes and in one piece; nullptr while there is no room for it.
  void* Push(size_t bytes);
  /// Frees the oldest block. There must be one.
  void Pop();

  size_t blocks() const { return blocks_.size(); }
  size_t capacity() const { return capacity_; }

 private:
  struct Block {
    size_t begin;
    size_t end;
  };
  using Memory = std::unique_ptr<std::byte, std::function<void(std::byte*)>>;

  StreamingRing(Memory memory, size_t capacity) : memory_(std::move(memory)), capacity_(capacity) {}

  Memory memory_;
  size_t capacity_ = 0;
  std::deque<Block> blocks_;  // oldest first
};

}  // namespace tern
