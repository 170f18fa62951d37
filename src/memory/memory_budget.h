// How many bytes may be used, and by what.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace tern {

enum class MemoryUse : uint8_t { kWeights, kKv, kActivations, kStaging };
inline constexpr size_t kMemoryUses = 4;

/// "weights", "kv", "activations", "staging".
std::string_view Name(MemoryUse use);

/// Counts bytes; allocates none. Thread rule: safe to share.
class MemoryBudget {
 public:
  /// Gives the bytes back when it goes. The budget must outlive it.
  class Reservation {
   public:
    Reservation() = default;
    Reservation(Reservation&& other) noexcept { *this = std::move(other); }
    Reservation& operator=(Reservation&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(use_, other.use_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Reservation() {
      if (budget_ != nullptr) budget_->Release(use_, bytes_);
    }
    uint64_t bytes() const { return bytes_; }

   private:
    friend class MemoryBudget;
    Reservation(MemoryBudget* budget, MemoryUse use, uint64_t bytes)
        : budget_(budget), use_(use), bytes_(bytes) {}

    MemoryBudget* budget_ = nullptr;
    MemoryUse use_ = MemoryUse::kWeights;
    uint64_t bytes_ = 0;
  };

  explicit MemoryBudget(uint64_t bytes) : limit_(bytes) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  /// Errors: kResourceExhausted with what was asked for, what is free, and who has the rest.
  Result<Reservation> Reserve(MemoryUse use, uint64_t bytes);

  uint64_t limit() const { return limit_; }
  uint64_t Free() const;
  uint64_t Reserved(MemoryUse use) const;

 private:
  void Release(MemoryUse use, uint64_t bytes);
  uint64_t FreeLocked() const;

  const uint64_t limit_;
  mutable std::mutex mutex_;
  std::array<uint64_t, kMemoryUses> reserved_ = {};
};

}  // namespace tern
