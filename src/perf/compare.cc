#include "perf/compare.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/rng.h"
#include "perf/rank_tests.h"
#include "perf/statistics.h"

namespace tern {
namespace {

/// In place, for the many resamples.
double MedianOf(std::vector<double>& values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

void Resample(std::span<const double> from, Rng& rng, std::vector<double>& to) {
  to.resize(from.size());
  for (double& value : to)
    value = from[static_cast<size_t>(rng.NextUnit() * static_cast<double>(from.size()))];
}

RatioInterval Bootstrap(double estimate, const std::function<double(Rng&)>& draw,
                        const BootstrapOptions& options) {
  Rng rng(options.seed);
  std::vector<double> drawn(static_cast<size_t>(options.resamples));
  for (double& value : drawn) value = draw(rng);
  const double tail = 100 * (1 - options.confidence) / 2;
  return {estimate, Percentile(drawn, tail), Percentile(drawn, 100 - tail)};
}

/// Rates become times, so that every ratio is one of costs.
std::vector<double> Costs(std::span<const double> values, bool more_is_better) {
  std::vector<double> costs(values.begin(), values.end());
  if (more_is_better)
    for (double& cost : costs) cost = 1 / cost;
  return costs;
}

std::vector<double> LogRatios(std::span<const double> a, std::span<const double> b) {
  std::vector<double> logs;
  for (size_t i = 0; i < a.size(); ++i) logs.push_back(std::log(b[i] / a[i]));
  return logs;
}

constexpr size_t kLeastPairs = 6;  // two-sided signed ranks of 5 pairs can't fall below 0.0625
constexpr size_t kLeastSide = 4;   // Mann-Whitney of 3 and 3 can't fall below 0.1
constexpr int kMostRounds = 100000;

}  // namespace

RatioInterval RatioOfMedians(std::span<const double> a, std::span<const double> b,
                             const BootstrapOptions& options) {
  if (a.empty() || b.empty()) return {};
  std::vector<double> drawn_a, drawn_b;
  return Bootstrap(
      Median(b) / Median(a),
      [&](Rng& rng) {
        Resample(a, rng, drawn_a);
        Resample(b, rng, drawn_b);
        return MedianOf(drawn_b) / MedianOf(drawn_a);
      },
      options);
}

RatioInterval MedianOfRatios(std::span<const double> a, std::span<const double> b,
                             const BootstrapOptions& options) {
  if (a.empty() || a.size() != b.size()) return {};
  std::vector<double> ratios, drawn;
  for (size_t i = 0; i < a.size(); ++i) ratios.push_back(b[i] / a[i]);
  return Bootstrap(
      Median(ratios),
      [&](Rng& rng) {
        Resample(ratios, rng, drawn);
        return MedianOf(drawn);
      },
      options);
}

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kSame:
      return "same";
    case Verdict::kFaster:
      return "faster";
    case Verdict::kSlower:
      return "slower";
    case Verdict::kUnknown:
      break;
  }
  return "can't tell";
}

double NoiseBeyondChance(std::span<const double> a1, std::span<const double> a2, bool paired,
                         const BootstrapOptions& options) {
  const RatioInterval found =
      paired ? MedianOfRatios(a1, a2, options) : RatioOfMedians(a1, a2, options);
  if (found.low > 1) return found.low - 1;
  return found.high < 1 ? 1 / found.high - 1 : 0;
}

Comparison RegressionDetector::Measure(const ComparedSeries& series) const {
  Comparison out;
  out.series = series;
  out.median_a = Median(series.a);
  out.median_b = Median(series.b);
  const BootstrapOptions bootstrap{1 - options_.level, options_.resamples, options_.seed};
  const std::vector<double> a = Costs(series.a, series.more_is_better);
  const std::vector<double> b = Costs(series.b, series.more_is_better);
  if (series.paired) {
    out.cost = MedianOfRatios(a, b, bootstrap);
    out.p = SignedRank(LogRatios(a, b)).p;
  } else {
    out.cost = RatioOfMedians(a, b, bootstrap);
    out.p = MannWhitney(a, b).p;
  }
  out.cost.low /= 1 + series.noise;
  out.cost.high *= 1 + series.noise;
  return out;
}

void RegressionDetector::Decide(Comparison& c) const {
  const double most = 1 + options_.tolerance, least = 1 / most;
  const size_t rounds = std::min(c.series.a.size(), c.series.b.size());
  const size_t needed = c.series.paired ? kLeastPairs : kLeastSide;
  if (rounds < needed) {
    c.verdict = Verdict::kUnknown;
    c.more_rounds = static_cast<int>(needed - rounds);
    return;
  }
  const bool differs = c.p_adjusted < options_.level;
  if (c.cost.low > least && c.cost.high < most) {
    c.verdict = Verdict::kSame;
  } else if (differs && c.cost.low > 1) {
    c.verdict = Verdict::kSlower;
  } else if (differs && c.cost.high < 1) {
    c.verdict = Verdict::kFaster;
  } else {
    c.verdict = Verdict::kUnknown;
    // Without the noise, the interval shrinks with the root of the rounds. It has to let go of 1 or
    // of the tolerance, whichever is farther from the estimate, also when the next estimate is not
    // this one: with a normal one, in 80% of the cases.
    constexpr double kReserve = 1 + 0.84 / 1.96;
    const double noise = std::log1p(c.series.noise);
    const double width = std::log(c.cost.high / c.cost.low) / 2 - noise;
    const double change = std::abs(std::log(c.cost.ratio));
    const double target = std::max(change, std::log(most) - change) - noise;
    if (target <= 0) return;  // only a calmer machine would tell
    const double factor = std::max(kReserve * width / target, 1.05);
    const double wanted = std::ceil(static_cast<double>(rounds) * (factor * factor - 1));
    c.more_rounds = static_cast<int>(std::clamp<double>(wanted, 1, kMostRounds));
  }
}

std::vector<Comparison> RegressionDetector::Judge() const {
  std::vector<Comparison> comparisons;
  std::vector<double> p;
  for (const ComparedSeries& series : series_) {
    comparisons.push_back(Measure(series));
    p.push_back(comparisons.back().p);
  }
  const std::vector<double> adjusted = options_.correction == Correction::kHolm ? HolmAdjusted(p)
                                       : options_.correction == Correction::kBenjaminiHochberg
                                           ? BenjaminiHochbergAdjusted(p)
                                           : p;
  for (size_t i = 0; i < comparisons.size(); ++i) {
    comparisons[i].p_adjusted = adjusted[i];
    Decide(comparisons[i]);
  }
  return comparisons;
}

Verdict RegressionDetector::Worst(std::span<const Comparison> comparisons) {
  Verdict worst = Verdict::kSame;
  const auto weight = [](Verdict verdict) {
    constexpr int kWeights[] = {0, 1, 3, 2};  // same, faster, slower, unknown
    return kWeights[static_cast<size_t>(verdict)];
  };
  for (const Comparison& c : comparisons)
    if (weight(c.verdict) > weight(worst)) worst = c.verdict;
  return worst;
}

}  // namespace tern
