// Blocks of 4 KiB to 1 MiB in classes of size: pages once fetched are used again and again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace tern {

/// Classes are the powers of two and, above 8 KiB, the sizes halfway between them. Memory goes back
/// to the system with the object. Thread rule: one thread at a time.
class SlabTier {
 public:
  static constexpr size_t kSmallest = 4096;
  static constexpr size_t kLargest = size_t{1} << 20;

  /// bytes: kSmallest to kLargest. Aligned to 4096 bytes. nullptr: no memory left.
  void* Take(size_t bytes);
  /// bytes as they were asked for.
  void Give(void* block, size_t bytes);

  size_t reserved_bytes() const { return reserved_; }

 private:
  static constexpr size_t kClasses = 17;
  static constexpr size_t kSlab = size_t{1} << 20;  // at least one block, as many as fit

  struct FreeBlock {
    FreeBlock* next;
  };

  static size_t ClassOf(size_t bytes);
  static size_t BytesOf(size_t size_class);
  bool AddSlab(size_t size_class);

  std::array<FreeBlock*, kClasses> free_ = {};
  std::vector<std::shared_ptr<std::byte>> slabs_;
  size_t reserved_ = 0;
};

}  // namespace tern
