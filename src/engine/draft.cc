#include "engine/draft.h"

#include <algorithm>

namespace tern {

std::vector<TokenId> ProposeDraft(std::span<const TokenId> history, int64_t count) {
  const size_t size = history.size();
  for (size_t run = std::min(kMaxRun, size > 0 ? size - 1 : 0); run >= kMinRun; --run) {
    const auto last = history.last(run);
    for (size_t end = size - 1; end >= run; --end) {  // the run that ends before `end`
      if (history[end - 1] != last.back()) continue;
      if (!std::equal(last.begin(), last.end(), history.begin() + static_cast<int64_t>(end - run)))
        continue;
      const auto guess = history.subspan(
          end, std::min(static_cast<size_t>(std::max<int64_t>(count, 0)), size - end));
      return {guess.begin(), guess.end()};
    }
  }
  return {};
}

void DraftLength::Record(int64_t drafted, int64_t accepted) {
  if (drafted == 0) return;
  if (accepted == drafted) length_ = std::min(most_, length_ * 2);
  if (accepted == 0) length_ = std::max<int64_t>(1, length_ / 2);
}

}  // namespace tern
