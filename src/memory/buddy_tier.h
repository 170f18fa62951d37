// Blocks of 64 to 4096 bytes, powers of two: halves of larger blocks, joined again when both halves
// are free (Knuth, The Art of Computer Programming 1, 2.5).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <unordered_map>

namespace tern {

/// Thread rule: one thread at a time.
class BuddyTier {
 public:
  static constexpr size_t kSmallest = 64;
  static constexpr size_t kLargest = 4096;
  static constexpr size_t kChunk = size_t{1} << 17;  // from the system, aligned to its size

  /// bytes: at most kLargest. A block is aligned to its rounded size. nullptr: no memory left.
  void* Take(size_t bytes);
  void Give(void* block);

  size_t reserved_bytes() const { return chunks_.size() * kChunk; }

 private:
  static constexpr size_t kOrders = 7;  // 64 << order
  static constexpr size_t kUnits = kChunk / kSmallest;

  struct FreeBlock {
    FreeBlock* next;
    FreeBlock* previous;
  };
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  struct Chunk {
    std::unique_ptr<std::byte, Free> memory;
    std::array<uint8_t, kUnits> state = {};  // at a block's first unit: its order, kIsFree added
    size_t live = 0;
  };

  bool AddChunk();
  void Push(FreeBlock* block, size_t order);
  void Remove(FreeBlock* block, size_t order);
  static std::byte* Base(void* block);

  std::array<FreeBlock*, kOrders> free_ = {};
  std::unordered_map<std::byte*, std::unique_ptr<Chunk>> chunks_;
};

}  // namespace tern
