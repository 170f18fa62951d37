// Is B slower than A? Samples in, a verdict with its confidence out.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tern {

struct BootstrapOptions {
  double confidence = 0.95;
  int resamples = 4000;
  uint64_t seed = 1;  // the same samples and seed give the same interval
};

/// An estimate of b / a and its confidence interval.
struct RatioInterval {
  double ratio = 1, low = 1, high = 1;
};

/// Median(b) / Median(a) with the percentile bootstrap (Efron 1979), the two sides drawn by
/// themselves. Values must be positive; 1 .. 1 when a side is empty.
RatioInterval RatioOfMedians(std::span<const double> a, std::span<const double> b,
                             const BootstrapOptions& options = {});
/// The median of b[i] / a[i] of two sides that were measured in turn, pairs drawn together: what
/// disturbs both halves of a pair disturbs the ratio little. Sizes must be equal.
RatioInterval MedianOfRatios(std::span<const double> a, std::span<const double> b,
                             const BootstrapOptions& options = {});

enum class Verdict : uint8_t { kSame, kFaster, kSlower, kUnknown };
/// "same", "faster", "slower", "can't tell".
std::string_view VerdictName(Verdict verdict);

enum class Correction : uint8_t { kHolm, kBenjaminiHochberg, kNone };

/// Samples of one benchmark on both sides.
struct ComparedSeries {
  std::string name;
  std::string metric;           // what the values are: "us", "t/s"
  bool more_is_better = false;  // rates; else times, bytes
  bool paired = false;          // a[i] and b[i] were measured in turn
  std::vector<double> a, b;     // positive
  /// What the machine does to a ratio of equal programs beyond what a bootstrap sees, e.g. 0.01 for
  /// 1%: NoiseBeyondChance of A/A runs.
  double noise = 0;
};

struct CompareOptions {
  double tolerance = 0.05;  // the smallest change that matters, as a share of the time
  double level = 0.05;      // of the tests, after correction; intervals have 1 - level
  Correction correction = Correction::kHolm;
  int resamples = 4000;
  uint64_t seed = 1;
};

struct Comparison {
  ComparedSeries series;
  double median_a = 0, median_b = 0;
  /// Cost of b over cost of a: times (bytes, ...) as they are, rates turned over. 1.05: B takes 5%
  /// longer. The interval includes the noise.
  RatioInterval cost;
  double p = 1, p_adjusted = 1;  // of Mann-Whitney, or of the signed ranks of pairs
  Verdict verdict = Verdict::kUnknown;
  int more_rounds = 0;  // about so many more would tell; 0 unless the verdict is kUnknown, or when
                        // the noise alone is too large
};

/// How far from 1 the nearest end of the interval of a2 / a1 is: 0 when chance explains what
/// differs between two runs of one program. Widening every interval by it lets this A/A pass.
double NoiseBeyondChance(std::span<const double> a1, std::span<const double> a2, bool paired,
                         const BootstrapOptions& options = {});

/// Judges all benchmarks of one comparison together. With t the tolerance:
///   slower      the corrected test says that there is a difference, the interval lies above 1, and
///               a change as large as t is in it or below it: "none" is excluded, "t" is not
///   faster      the same, upside down
///   same        the interval lies between 1 / (1 + t) and 1 + t
///   can't tell  the interval holds both 1 and a change of t: more rounds are needed
/// A change of exactly t is found with 97.5% once the samples suffice, one of 2t nearly always,
/// none at all is called one in less than `level` of the comparisons, all benchmarks together.
class RegressionDetector {
 public:
  explicit RegressionDetector(CompareOptions options) : options_(options) {}

  void Add(ComparedSeries series) { series_.push_back(std::move(series)); }
  std::vector<Comparison> Judge() const;

  /// Slower if one is; else unknown if one is; else faster if one is; else same.
  static Verdict Worst(std::span<const Comparison> comparisons);

 private:
  Comparison Measure(const ComparedSeries& series) const;
  void Decide(Comparison& comparison) const;

  CompareOptions options_;
  std::vector<ComparedSeries> series_;
};

}  // namespace tern
