// Tests that ask only for the order of measured values: times have long tails, and nobody knows
// their distribution.
#pragma once

#include <span>
#include <vector>

namespace tern {

struct RankTest {
  double statistic = 0;
  double p = 1;  // two-sided; 1 when there is nothing to compare
  bool exact = false;
};

/// Mann and Whitney 1947: are values of b as often above those of a as below? The statistic is U of
/// a: how many pairs have a above b, ties one half. Exact when no value occurs twice and both sides
/// have at most 25; else the normal approximation with the correction for ties (Lehmann 1975) and
/// for continuity.
RankTest MannWhitney(std::span<const double> a, std::span<const double> b);

/// Wilcoxon 1945 on differences: are those above zero as large as those below? The statistic is the
/// sum of the ranks of positive ones; zeros are left out. Exact for at most 50 that all differ in
/// size; else the normal approximation as above.
RankTest SignedRank(std::span<const double> differences);

/// Holm 1979: p-values with which every comparison may be judged at one level, however many there
/// are: the chance of a single false alarm among all stays below it.
std::vector<double> HolmAdjusted(std::span<const double> p);
/// Benjamini and Hochberg 1995: the share of false alarms among the alarms stays below the level.
std::vector<double> BenjaminiHochbergAdjusted(std::span<const double> p);

/// Ranks from 1; equal values share the mean of theirs.
std::vector<double> Ranks(std::span<const double> values);

}  // namespace tern
