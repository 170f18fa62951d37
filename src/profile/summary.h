// Where the time of a profiled phase went, and what bounds it.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "profile/profile.h"

namespace tern {

/// What keeps an operation from being faster. kOverhead: neither limit explains its time.
enum class Bound : uint8_t { kMemory, kCompute, kOverhead };
std::string_view BoundName(Bound bound);  // "memory", "compute", "overhead"

/// An operation whose bytes and arithmetic would take less than this share of its time waits for
/// something else: starting threads, the latency of a chain.
inline constexpr double kOverheadShare = 0.1;

/// Of one call. Without limits: kOverhead.
Bound BoundOf(const ProfiledOp& op);

/// Operations of the same kind, or of the same layer.
struct OpGroup {
  std::string name, part;
  int64_t calls = 0;
  double seconds = 0;
  double bytes = 0, operations = 0;
  double limit_seconds = 0;                  // the larger of both limits, call by call
  std::array<double, 3> bound_seconds = {};  // by Bound

  void Add(const ProfiledOp& op);
  /// 1e9 a second; 0 without time.
  double GigabytesPerSecond() const;
  double GigaOpsPerSecond() const;
  /// Operations per byte; 0 without bytes.
  double Intensity() const;
  /// Of the time, in percent, that the nearer limit would take; 0 without limits.
  double PercentOfLimit() const;
  /// That of most of the time.
  Bound bound() const;
};

struct PhaseSummary {
  std::vector<OpGroup> ops;     // by their role, the longest first
  std::vector<OpGroup> layers;  // "layer 0", .., then kEndsPart
  OpGroup all;
  double seconds = 0;  // of the passes, from outside

  /// Seconds between operations: of the passes, but of no operation.
  double Between() const { return seconds - all.seconds; }
  /// Sum of the operations in percent of the whole.
  double PartsPercent() const;
  /// The time between operations is overhead.
  std::array<double, 3> BoundSeconds() const;
  Bound bound() const;
};

PhaseSummary Summarize(const ProfilePhase& phase);

/// "decode is bound by memory: 95% of its time goes to ..., which move 24.3 GB/s, 80% of the 30.2
/// GB/s measured (dram read)."
std::string BoundSentence(const ProfilePhase& phase, const ProfileLimits& limits);

/// Tables of operations and layers in Markdown, sums and sentences: what `tern profile` prints.
std::string ProfileText(const Profile& profile);

/// Every figure, for programs.
std::string ProfileJson(const Profile& profile);

}  // namespace tern
