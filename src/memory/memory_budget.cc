#include "memory/memory_budget.h"

namespace tern {

std::string_view Name(MemoryUse use) {
  constexpr std::array<std::string_view, kMemoryUses> kNames = {"weights", "kv", "activations",
                                                                "staging"};
  return kNames[static_cast<size_t>(use)];
}

Result<MemoryBudget::Reservation> MemoryBudget::Reserve(MemoryUse use, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  const uint64_t free = FreeLocked();
  if (bytes <= free) {
    reserved_[static_cast<size_t>(use)] += bytes;
    return Reservation(this, use, bytes);
  }
  std::string others;
  for (size_t i = 0; i < kMemoryUses; ++i)
    others +=
        fmt::format("{}{} {}", i == 0 ? "" : ", ", Name(static_cast<MemoryUse>(i)), reserved_[i]);
  return Fail(Code::kResourceExhausted,
              "memory budget: {} want {} bytes, free are {} of {} (reserved: {})", Name(use), bytes,
              free, limit_, others);
}

uint64_t MemoryBudget::Free() const {
  const std::lock_guard lock(mutex_);
  return FreeLocked();
}

uint64_t MemoryBudget::Reserved(MemoryUse use) const {
  const std::lock_guard lock(mutex_);
  return reserved_[static_cast<size_t>(use)];
}

uint64_t MemoryBudget::FreeLocked() const {
  uint64_t free = limit_;
  for (const uint64_t bytes : reserved_) free -= bytes;
  return free;
}

void MemoryBudget::Release(MemoryUse use, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  reserved_[static_cast<size_t>(use)] -= bytes;
}

}  // namespace tern
