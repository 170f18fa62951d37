// Stop strings in text that arrives in portions.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tern {

/// Finds the stop string that begins first in the whole text (of those that begin together, the
/// shortest), however the text is cut into portions. Text is given out as soon as no stop string
/// can begin in it. Thread rule: one owner.
class StopMatcher {
 public:
  /// Empty stop strings are ignored.
  explicit StopMatcher(std::vector<std::string> stops);

  /// Text that certainly comes before any stop string. Nothing after a match.
  std::string Feed(std::string_view text);

  /// The text has ended: what was held back, up to a stop string if one is in it.
  std::string Finish();

  /// The stop string found, once it is certain that none begins earlier.
  const std::optional<std::string>& match() const { return match_; }

 private:
  struct Found {
    size_t at = std::string::npos;
    std::string_view stop;
  };
  Found FindFirst() const;
  size_t FirstBeginning(size_t end) const;
  std::string TakeMatch(const Found& found);

  std::vector<std::string> stops_;  // shortest first
  std::string held_;
  std::optional<std::string> match_;
};

}  // namespace tern
