#include "tokenizer/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace tern {

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
  std::stable_sort(stops_.begin(), stops_.end(),
                   [](const auto& a, const auto& b) { return a.size() < b.size(); });
}

StopMatcher::Found StopMatcher::FindFirst() const {
  Found first;
  for (const std::string& stop : stops_) {
    const size_t at = held_.find(stop);
    if (at < first.at) first = {at, stop};
  }
  return first;
}

/// Where the first stop string may begin that is not complete yet; at most `end`.
size_t StopMatcher::FirstBeginning(size_t end) const {
  const std::string_view text = held_;
  const size_t longest = stops_.empty() ? 0 : stops_.back().size();
  for (size_t at = text.size() - std::min(text.size(), longest); at < end; ++at) {
    const std::string_view tail = text.substr(at);
    const bool begins = std::any_of(stops_.begin(), stops_.end(), [&](const std::string& stop) {
      return stop.size() > tail.size() && stop.starts_with(tail);
    });
    if (begins) return at;
  }
  return end;
}

std::string StopMatcher::TakeMatch(const Found& found) {
  match_ = found.stop;
  return std::exchange(held_, {}).substr(0, found.at);
}

std::string StopMatcher::Feed(std::string_view text) {
  if (match_) return {};
  held_ += text;
  const Found found = FindFirst();
  const size_t end = FirstBeginning(std::min(found.at, held_.size()));
  if (end == found.at) return TakeMatch(found);
  std::string out = held_.substr(0, end);
  held_.erase(0, end);
  return out;
}

std::string StopMatcher::Finish() {
  if (match_) return {};
  const Found found = FindFirst();
  return found.at == std::string::npos ? std::exchange(held_, {}) : TakeMatch(found);
}

}  // namespace tern
