// Percentiles of the histogram beside those of all values, over ten distributions.
#include "perf/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "perf/statistics.h"

namespace tern {
namespace {

using Random = std::mt19937_64;

struct Distribution {
  const char* name;
  std::function<double(Random&)> draw;
};

// Seconds, of the kinds that times come in: narrow, skewed, with long tails, with several modes.
const std::vector<Distribution>& Distributions() {
  static const std::vector<Distribution> kAll = {
      {"uniform", [](Random& r) { return std::uniform_real_distribution(1e-6, 1.0)(r); }},
      {"narrow normal",
       [](Random& r) { return std::fabs(std::normal_distribution(0.02, 0.0004)(r)); }},
      {"exponential", [](Random& r) { return std::exponential_distribution(50.0)(r); }},
      {"lognormal", [](Random& r) { return std::lognormal_distribution(-7.0, 1.5)(r); }},
      {"gamma", [](Random& r) { return std::gamma_distribution(2.0, 0.01)(r); }},
      {"Pareto",
       [](Random& r) {
         return 0.001 * std::pow(1 - std::uniform_real_distribution(0.0, 1.0)(r), -1 / 1.1);
       }},
      {"Cauchy", [](Random& r) { return std::fabs(std::cauchy_distribution(0.01, 0.002)(r)); }},
      {"two modes",
       [](Random& r) {
         return std::bernoulli_distribution(0.97)(r) ? std::normal_distribution(0.005, 0.0001)(r)
                                                     : std::normal_distribution(0.4, 0.01)(r);
       }},
      {"log-uniform",
       [](Random& r) { return std::exp(std::uniform_real_distribution(-20.0, 13.0)(r)); }},
      {"a clock of 1 us",
       [](Random& r) { return 1e-6 * std::ceil(std::lognormal_distribution(2.0, 1.0)(r)); }},
  };
  return kAll;
}

constexpr double kPercents[] = {0, 1, 25, 50, 90, 95, 99, 99.9, 100};

void ExpectNear(const HistogramSnapshot& found, const std::vector<double>& values,
                const char* name) {
  for (const double p : kPercents) {
    const double truth = Percentile(values, p);
    EXPECT_LE(std::fabs(found.Percentile(p) - truth), truth * HistogramBuckets::kRelativeError)
        << name << " " << p;
  }
}

TEST(Histogram, PercentilesAreThoseOfAllValuesOnTenDistributions) {
  static_assert(HistogramBuckets::kRelativeError < 0.01);
  for (const Distribution& distribution : Distributions()) {
    Random random(7);
    Histogram histogram;
    std::vector<double> values;
    for (int i = 0; i < 20000; ++i) {
      values.push_back(distribution.draw(random));
      histogram.Record(values.back());
    }
    const HistogramSnapshot snapshot = histogram.Snapshot();
    EXPECT_EQ(snapshot.count(), values.size());
    EXPECT_EQ(snapshot.max(), *std::max_element(values.begin(), values.end()));
    ExpectNear(snapshot, values, distribution.name);
  }
}

TEST(Histogram, PartsMergedAreTheWholeAndTheDifferenceIsThePart) {
  for (const Distribution& distribution : Distributions()) {
    Random random(11);
    Histogram one, other, both;
    std::vector<double> later;
    for (int i = 0; i < 5000; ++i) {
      const double value = distribution.draw(random);
      (i < 3000 ? one : other).Record(value);
      both.Record(value);
      if (i >= 3000) later.push_back(value);
    }
    HistogramSnapshot merged = one.Snapshot();
    merged.Merge(other.Snapshot());
    const HistogramSnapshot whole = both.Snapshot();
    EXPECT_EQ(merged.count(), whole.count());
    EXPECT_EQ(merged.max(), whole.max());
    for (const double p : kPercents) EXPECT_EQ(merged.Percentile(p), whole.Percentile(p));
    const HistogramSnapshot difference = whole.Since(one.Snapshot());
    EXPECT_EQ(difference.count(), later.size());
    for (const double p : {1.0, 50.0, 99.0})
      EXPECT_EQ(difference.Percentile(p), other.Snapshot().Percentile(p)) << distribution.name;
    // Its largest value isn't kept: the end of the bucket stands for it.
    EXPECT_LE(difference.max(),
              other.Snapshot().max() * (1 + 2 * HistogramBuckets::kRelativeError));
    EXPECT_GE(difference.max(), other.Snapshot().max());
  }
}

}  // namespace
}  // namespace tern
