// Guesses of the next tokens from the text itself.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/types.h"

namespace tern {

/// Prompt lookup (Saxena 2023, "Prompt Lookup Decoding"): where the last few tokens have been
/// before, the most recent time, what followed them then; at most `count` tokens, none when they
/// are new. The longest run of kMaxRun to kMinRun tokens that repeats decides.
std::vector<TokenId> ProposeDraft(std::span<const TokenId> history, int64_t count);

inline constexpr size_t kMaxRun = 4, kMinRun = 2;

/// How far to guess: doubled when all of a guess came true, halved when none of it did. Thread
/// rule: one owner.
class DraftLength {
 public:
  explicit DraftLength(int64_t most) : most_(most), length_(most) {}
  int64_t length() const { return length_; }
  void Record(int64_t drafted, int64_t accepted);

 private:
  int64_t most_, length_;
};

}  // namespace tern
