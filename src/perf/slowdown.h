// Is an operation slower than it used to be? Ratios to a baseline, and when to believe them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "perf/histogram.h"

namespace tern {

/// What an operation of a kind usually takes: `Ratio` turns a time into a multiple of that. A kind
/// ("cell") is a number of the caller's for work that is alike, such as rows and context of a
/// forward pass, so that a change of the load is no slowdown. The baseline of a cell is the median
/// of kLearned times drawn evenly from those of its learning time; from then on it stays. Thread
/// rule: one owner.
class UsualTimes {
 public:
  static constexpr size_t kLearned = 64;
  static constexpr size_t kMostCells = 4096;  // others are never learnt

  /// learning: seconds from a cell's first time on that it learns for, at least.
  explicit UsualTimes(double learning) : learning_(learning) {}

  /// now: seconds, on any clock. Nothing while the cell learns.
  std::optional<double> Ratio(uint64_t cell, double now, double seconds);
  size_t learnt() const { return learnt_; }

 private:
  struct Cell {
    double usual = 0;  // 0: learning
    double since = 0;
    uint64_t seen = 0;
    std::vector<double> drawn = {};
  };

  const double learning_;
  std::unordered_map<uint64_t, Cell> cells_;
  size_t learnt_ = 0;
  uint64_t random_ = 1;
};

/// An interval's ratios to the usual times, as far as they say something.
struct SlowdownEvidence {
  uint64_t count = 0;
  double ratio = 0;          // median; 1 is as usual
  double low = 0, high = 0;  // about 95% confidence for the median, by the sign test
};
SlowdownEvidence EvidenceOf(const HistogramSnapshot& ratios);

enum class SlowdownState : uint8_t {
  kUsual,
  kSuspect,     // slower, not for long enough yet
  kSlow,        // the alert fires
  kRecovering,  // as usual again, not for long enough yet; the alert still fires
};
/// "usual", "suspect", "slow", "recovering".
std::string_view Name(SlowdownState state);

/// Fires after evidence of a slowdown beyond the tolerance has lasted for `hold`, and ends after as
/// much time without: one slow moment is noise, one quick one too. Evidence: the whole interval of
/// confidence is above 1 + tolerance; against it: the median isn't. In between nothing changes, but
/// a suspicion that nothing supports for `hold` is dropped. Thread rule: one owner.
class SlowdownWatch {
 public:
  static constexpr uint64_t kFewestRatios = 12;  // fewer say too little about a median

  SlowdownWatch(double tolerance, double hold) : tolerance_(tolerance), hold_(hold) {}

  /// now: seconds, never less than before. True when the alert began or ended.
  bool Observe(double now, const SlowdownEvidence& evidence);

  SlowdownState state() const { return state_; }
  bool firing() const {
    return state_ == SlowdownState::kSlow || state_ == SlowdownState::kRecovering;
  }
  /// When the state began.
  double since() const { return since_; }

 private:
  bool Enter(SlowdownState state, double now);

  const double tolerance_, hold_;
  SlowdownState state_ = SlowdownState::kUsual;
  double since_ = 0;
  double last_support_ = 0;  // of a suspicion
};

}  // namespace tern
