#include "memory/slab_tier.h"

#include <bit>

#include "platform/pages.h"

namespace tern {

/// Class 2k has 4096 << k bytes, class 2k + 1 half as much again.
size_t SlabTier::BytesOf(size_t size_class) {
  const size_t power = kSmallest << (size_class / 2);
  return size_class % 2 == 0 ? power : power + power / 2;
}

size_t SlabTier::ClassOf(size_t bytes) {
  const auto above = static_cast<size_t>(std::bit_width((bytes - 1) / kSmallest));  // power of two
  const bool halfway = above > 1 && bytes <= BytesOf(2 * above - 1);
  return halfway ? 2 * above - 1 : 2 * above;
}

bool SlabTier::AddSlab(size_t size_class) {
  const size_t bytes = BytesOf(size_class);
  std::shared_ptr<std::byte> slab = AllocatePages(kSlab);
  if (slab == nullptr) return false;
  for (size_t at = 0; at + bytes <= kSlab; at += bytes) {
    auto* block = reinterpret_cast<FreeBlock*>(slab.get() + at);
    block->next = free_[size_class];
    free_[size_class] = block;
  }
  reserved_ += kSlab;
  slabs_.push_back(std::move(slab));
  return true;
}

void* SlabTier::Take(size_t bytes) {
  const size_t size_class = ClassOf(bytes);
  if (free_[size_class] == nullptr && !AddSlab(size_class)) return nullptr;
  FreeBlock* block = free_[size_class];
  free_[size_class] = block->next;
  return block;
}

void SlabTier::Give(void* memory, size_t bytes) {
  const size_t size_class = ClassOf(bytes);
  auto* block = static_cast<FreeBlock*>(memory);
  block->next = free_[size_class];
  free_[size_class] = block;
}

}  // namespace tern
