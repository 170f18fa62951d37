#include "memory/streaming_ring.h"

#include <algorithm>

#include "base/check.h"
#include "base/math.h"

namespace tern {

Result<StreamingRing> StreamingRing::Create(MemoryPool& pool, size_t bytes) {
  const size_t capacity = AlignUp(std::max<size_t>(bytes, 1), MemoryPool::kAlignment);
  void* memory = capacity < bytes ? nullptr : pool.Take(capacity);
  if (memory == nullptr)
    return Fail(Code::kResourceExhausted, "cannot allocate {} bytes for a ring", bytes);
  return StreamingRing(Memory(static_cast<std::byte*>(memory),
                              [&pool, capacity](std::byte* p) { pool.Give(p, capacity); }),
                       capacity);
}

void* StreamingRing::Push(size_t bytes) {
  if (bytes > capacity_) return nullptr;
  const size_t size = AlignUp(std::max<size_t>(bytes, 1), MemoryPool::kAlignment);
  size_t begin = 0;
  size_t room = capacity_;
  if (!blocks_.empty()) {
    const size_t oldest = blocks_.front().begin;
    begin = blocks_.back().end;
    const bool wrapped = begin <= oldest;
    room = (wrapped ? oldest : capacity_) - begin;
    if (room < size && !wrapped) {  // the rest at the end stays empty
      begin = 0;
      room = oldest;
    }
  }
  if (room < size) return nullptr;
  blocks_.push_back({begin, begin + size});
  return memory_.get() + begin;
}

void StreamingRing::Pop() {
  TERN_CHECK(!blocks_.empty());
  blocks_.pop_front();
}

}  // namespace tern
