#include "perf/rank_tests.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/rng.h"

namespace tern {
namespace {

// How many pairs have a above b, ties one half.
double CountU(const std::vector<double>& a, const std::vector<double>& b) {
  double u = 0;
  for (const double x : a)
    for (const double y : b) u += x > y ? 1 : x == y ? 0.5 : 0;
  return u;
}

// Oracle: U of every way to choose which values are a's.
double PermutationP(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> all(a);
  all.insert(all.end(), b.begin(), b.end());
  std::vector<int> in_a(all.size(), 0);
  std::fill(in_a.begin(), in_a.begin() + std::ssize(a), 1);
  std::sort(in_a.begin(), in_a.end());
  const double u = CountU(a, b);
  double low = 0, high = 0, ways = 0;
  do {
    std::vector<double> x, y;
    for (size_t i = 0; i < all.size(); ++i) (in_a[i] ? x : y).push_back(all[i]);
    const double other = CountU(x, y);
    low += other <= u;
    high += other >= u;
    ++ways;
  } while (std::next_permutation(in_a.begin(), in_a.end()));
  return std::min(1.0, 2 * std::min(low, high) / ways);
}

TEST(MannWhitney, EqualsTheBruteForcePermutationTest) {
  Rng rng(7);
  for (size_t m = 1; m <= 6; ++m)
    for (size_t n = 1; n <= 7; ++n) {
      std::vector<double> a(m), b(n);
      for (double& x : a) x = rng.NextUnit();
      for (double& y : b) y = rng.NextUnit() + 0.3;
      const RankTest test = MannWhitney(a, b);
      EXPECT_TRUE(test.exact);
      EXPECT_EQ(test.statistic, CountU(a, b));
      EXPECT_NEAR(test.p, PermutationP(a, b), 1e-12) << m << " " << n;
    }
}

TEST(MannWhitney, PublishedExamples) {
  // Hollander and Wolfe 1973, permeability at term and before; p as R's wilcox.test prints twice
  // its one-sided 0.1272.
  const RankTest exact =
      MannWhitney(std::vector{0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46},
                  std::vector{1.15, 0.88, 0.90, 0.74, 1.21});
  EXPECT_EQ(exact.statistic, 35);
  EXPECT_NEAR(exact.p, 0.2544, 1e-4);
  // Ozone in New York in May and August 1973 (Chambers and others 1983), with ties: R prints
  // W = 127.5, p-value = 0.0001208.
  const RankTest ties =
      MannWhitney(std::vector<double>{41, 36, 12, 18, 28, 23, 19, 8, 7,  16, 11, 14,  18,
                                      14, 34, 6,  30, 11, 1,  11, 4, 32, 23, 45, 115, 37},
                  std::vector<double>{39, 9,  16, 78, 35, 66, 122, 89,  110, 44, 28,  65, 22,
                                      59, 23, 31, 44, 21, 9,  45,  168, 73,  76, 118, 84, 85});
  EXPECT_FALSE(ties.exact);
  EXPECT_EQ(ties.statistic, 127.5);
  EXPECT_NEAR(ties.p, 0.0001208, 5e-8);
}

// The largest U that is significant at 5%, two-sided, by the printed tables.
TEST(MannWhitney, CriticalValuesOfTheTables) {
  struct Row {
    size_t n;
    double u;
  };
  for (const Row& row : {Row{5, 2}, Row{10, 23}, Row{15, 64}, Row{20, 127}}) {
    // a below b, then enough of a moved above enough of b to reach U.
    const auto p_of = [&](double wanted) {
      std::vector<double> a(row.n), b(row.n);
      std::iota(b.begin(), b.end(), 0.0);
      double left = wanted;
      for (size_t i = 0; i < row.n; ++i) {
        const double above = std::min(left, static_cast<double>(row.n));
        a[i] = above - 1 + 0.01 * static_cast<double>(i + 1);
        left -= above;
      }
      const RankTest test = MannWhitney(a, b);
      EXPECT_EQ(test.statistic, wanted);
      return test.p;
    };
    EXPECT_LE(p_of(row.u), 0.05) << row.n;
    EXPECT_GT(p_of(row.u + 1), 0.05) << row.n;
  }
}

TEST(MannWhitney, LargeSidesAndTheEdges) {
  // 26 values a side fall back on the normal distribution, which is near the exact one there.
  Rng rng(3);
  std::vector<double> a(25), b(25);
  for (double& x : a) x = rng.NextUnit();
  for (double& y : b) y = rng.NextUnit() + 0.2;
  const double exact = MannWhitney(a, b).p;
  a.push_back(0.5);
  b.push_back(0.7);
  const RankTest normal = MannWhitney(a, b);
  EXPECT_FALSE(normal.exact);
  EXPECT_NEAR(normal.p, exact, 0.3 * exact);
  EXPECT_EQ(MannWhitney({}, a).p, 1);
  EXPECT_EQ(MannWhitney(std::vector(9, 1.0), std::vector(9, 1.0)).p, 1);
}

TEST(SignedRank, EqualsTheBruteForceOverAllSigns) {
  Rng rng(11);
  for (size_t n = 1; n <= 12; ++n) {
    std::vector<double> d(n);
    for (double& x : d) x = rng.NextUnit() - 0.35;
    std::vector<double> sizes;
    for (const double x : d) sizes.push_back(std::abs(x));
    const std::vector<double> ranks = Ranks(sizes);
    double w = 0;
    for (size_t i = 0; i < n; ++i) w += d[i] > 0 ? ranks[i] : 0;
    double low = 0, high = 0;
    for (size_t signs = 0; signs < size_t{1} << n; ++signs) {
      double other = 0;
      for (size_t i = 0; i < n; ++i) other += signs >> i & 1 ? ranks[i] : 0;
      low += other <= w;
      high += other >= w;
    }
    const double p = std::min(1.0, 2 * std::min(low, high) / static_cast<double>(size_t{1} << n));
    const RankTest test = SignedRank(d);
    EXPECT_EQ(test.statistic, w);
    EXPECT_NEAR(test.p, p, 1e-12) << n;
  }
}

TEST(SignedRank, PublishedExamplesAndTables) {
  // Hollander and Wolfe 1973, depression scales: R prints V = 40, one-sided 0.01953.
  const std::vector<double> x = {1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30};
  const std::vector<double> y = {0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29};
  std::vector<double> d;
  for (size_t i = 0; i < x.size(); ++i) d.push_back(x[i] - y[i]);
  EXPECT_EQ(SignedRank(d).statistic, 40);
  EXPECT_EQ(SignedRank(d).p, 20.0 / 512);
  // Critical values at 5%, two-sided: sum of the smaller side.
  struct Row {
    int n, w;
  };
  for (const Row& row : {Row{6, 0}, Row{10, 8}, Row{20, 52}, Row{25, 89}}) {
    const auto p_of = [&](int wanted) {
      std::vector<double> values;
      for (int rank = row.n, left = wanted; rank >= 1; --rank) {
        const bool positive = rank <= left;
        if (positive) left -= rank;
        values.push_back(positive ? rank : -rank);
      }
      EXPECT_EQ(SignedRank(values).statistic, wanted);
      return SignedRank(values).p;
    };
    EXPECT_LE(p_of(row.w), 0.05) << row.n;
    EXPECT_GT(p_of(row.w + 1), 0.05) << row.n;
  }
  EXPECT_EQ(SignedRank({}).p, 1);
  EXPECT_EQ(SignedRank(std::vector(5, 0.0)).p, 1);
  EXPECT_FALSE(SignedRank(std::vector{1.0, 1.0, -2.0}).exact);
}

TEST(Corrections, AsPublished) {
  // The fifteen p-values of Benjamini and Hochberg 1995, section 3.2: four are rejected at 5% by
  // their procedure, three by Bonferroni's and Holm's.
  const std::vector<double> p = {0.0298, 0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 1.0,
                                 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590};
  const auto rejected = [](const std::vector<double>& adjusted) {
    return std::count_if(adjusted.begin(), adjusted.end(), [](double q) { return q < 0.05; });
  };
  EXPECT_EQ(rejected(BenjaminiHochbergAdjusted(p)), 4);
  EXPECT_EQ(rejected(HolmAdjusted(p)), 3);
  // By hand.
  const std::vector<double> five = {0.04, 0.01, 0.03, 0.02, 0.05};
  const std::vector<double> holm = {0.09, 0.05, 0.09, 0.08, 0.09};
  for (size_t i = 0; i < five.size(); ++i) {
    EXPECT_NEAR(HolmAdjusted(five)[i], holm[i], 1e-15);
    EXPECT_NEAR(BenjaminiHochbergAdjusted(five)[i], 0.05, 1e-15);
  }
  EXPECT_TRUE(HolmAdjusted({}).empty());
}

TEST(Ranks, EqualValuesShare) {
  EXPECT_EQ(Ranks(std::vector{3.0, 1.0, 3.0, 2.0, 3.0}), (std::vector<double>{4, 1, 4, 2, 4}));
}

}  // namespace
}  // namespace tern
