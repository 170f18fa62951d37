#include "perf/rank_tests.h"

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <numeric>

namespace tern {
namespace {

constexpr size_t kExactSide = 25, kExactPairs = 50;

double TwoSided(double z) {
  return std::min(1.0, 2 * boost::math::cdf(boost::math::complement(boost::math::normal(), z)));
}

std::vector<size_t> Order(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t i, size_t j) { return values[i] < values[j]; });
  return order;
}

/// The sum of t^3 - t over groups of t equal values; 0: no ties.
double TieSum(std::span<const double> values) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  double sum = 0;
  for (size_t i = 0; i < sorted.size();) {
    size_t end = i;
    while (end < sorted.size() && sorted[end] == sorted[i]) ++end;
    const auto t = static_cast<double>(end - i);
    sum += t * t * t - t;
    i = end;
  }
  return sum;
}

/// The share of all outcomes, counted by sum, that are at most `sum`.
double ShareUpTo(const std::vector<double>& counts, double sum) {
  double below = 0, all = 0;
  for (size_t s = 0; s < counts.size(); ++s) {
    all += counts[s];
    if (static_cast<double>(s) <= sum) below += counts[s];
  }
  return below / all;
}

/// How many ways there are to reach each U: those of choosing m of m + n ranks, by the recursion
/// over the largest rank, which is the product of (1 - q^(n + i)) / (1 - q^i) for i of 1 to m.
std::vector<double> WaysOfU(size_t m, size_t n) {
  std::vector<double> ways(m * n + 1, 0);
  ways[0] = 1;
  for (size_t i = 1; i <= m; ++i) {
    for (size_t u = ways.size(); u-- > n + i;) ways[u] -= ways[u - (n + i)];
    for (size_t u = i; u < ways.size(); ++u) ways[u] += ways[u - i];
  }
  return ways;
}

/// How many subsets of the ranks 1 to n have each sum.
std::vector<double> WaysOfRankSum(size_t n) {
  std::vector<double> ways(n * (n + 1) / 2 + 1, 0);
  ways[0] = 1;
  for (size_t rank = 1; rank <= n; ++rank)
    for (size_t sum = ways.size(); sum-- > rank;) ways[sum] += ways[sum - rank];
  return ways;
}

double ExactTwoSided(const std::vector<double>& ways, double statistic) {
  const double largest = static_cast<double>(ways.size() - 1);  // distributions are symmetric
  return std::min(1.0, 2 * ShareUpTo(ways, std::min(statistic, largest - statistic)));
}

}  // namespace

std::vector<double> Ranks(std::span<const double> values) {
  const std::vector<size_t> order = Order(values);
  std::vector<double> ranks(values.size());
  for (size_t i = 0; i < order.size();) {
    size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    const double mean = static_cast<double>(i + 1 + end) / 2;
    for (; i < end; ++i) ranks[order[i]] = mean;
  }
  return ranks;
}

RankTest MannWhitney(std::span<const double> a, std::span<const double> b) {
  if (a.empty() || b.empty()) return {};
  std::vector<double> all(a.begin(), a.end());
  all.insert(all.end(), b.begin(), b.end());
  const std::vector<double> ranks = Ranks(all);
  const auto m = static_cast<double>(a.size()), n = static_cast<double>(b.size());
  const double rank_sum = std::accumulate(ranks.begin(), ranks.begin() + std::ssize(a), 0.0);
  const double u = rank_sum - m * (m + 1) / 2;
  const double ties = TieSum(all);
  if (ties == 0 && std::max(a.size(), b.size()) <= kExactSide)
    return {u, ExactTwoSided(WaysOfU(a.size(), b.size()), u), true};
  const double total = m + n;
  const double variance = m * n / 12 * (total + 1 - ties / (total * (total - 1)));
  if (variance <= 0) return {u, 1, false};  // all values are equal
  const double distance = std::max(0.0, std::abs(u - m * n / 2) - 0.5);
  return {u, TwoSided(distance / std::sqrt(variance)), false};
}

RankTest SignedRank(std::span<const double> differences) {
  std::vector<double> sizes;
  std::vector<bool> positive;
  for (const double d : differences) {
    if (d == 0) continue;
    sizes.push_back(std::abs(d));
    positive.push_back(d > 0);
  }
  if (sizes.empty()) return {};
  const std::vector<double> ranks = Ranks(sizes);
  double sum = 0;
  for (size_t i = 0; i < ranks.size(); ++i)
    if (positive[i]) sum += ranks[i];
  const double ties = TieSum(sizes);
  if (ties == 0 && sizes.size() <= kExactPairs)
    return {sum, ExactTwoSided(WaysOfRankSum(sizes.size()), sum), true};
  const auto n = static_cast<double>(sizes.size());
  const double variance = n * (n + 1) * (2 * n + 1) / 24 - ties / 48;
  const double distance = std::max(0.0, std::abs(sum - n * (n + 1) / 4) - 0.5);
  return {sum, TwoSided(distance / std::sqrt(variance)), false};
}

std::vector<double> HolmAdjusted(std::span<const double> p) {
  std::vector<double> adjusted(p.size());
  double largest = 0;
  const std::vector<size_t> order = Order(p);
  for (size_t i = 0; i < order.size(); ++i) {
    const auto left = static_cast<double>(order.size() - i);
    largest = std::max(largest, std::min(1.0, p[order[i]] * left));
    adjusted[order[i]] = largest;
  }
  return adjusted;
}

std::vector<double> BenjaminiHochbergAdjusted(std::span<const double> p) {
  std::vector<double> adjusted(p.size());
  double smallest = 1;
  const std::vector<size_t> order = Order(p);
  for (size_t i = order.size(); i-- > 0;) {
    const double share = static_cast<double>(order.size()) / static_cast<double>(i + 1);
    smallest = std::min(smallest, p[order[i]] * share);
    adjusted[order[i]] = smallest;
  }
  return adjusted;
}

}  // namespace tern
