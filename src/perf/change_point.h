// Where in a history of measurements something changed for good.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tern {

struct ChangePoint {
  size_t index = 0;              // of the first value after the change
  double before = 0, after = 0;  // medians of the segments on both sides
  double p = 1;                  // of the permutation test
};

struct ChangePointOptions {
  size_t min_segment = 5;  // values between two changes
  int permutations = 199;
  double significance = 0.01;
  double min_effect = 0;  // |after / before - 1| below this is no change worth a word
  uint64_t seed = 1;
};

/// E-divisive (Matteson and James 2014): the split whose sides differ most by the energy distance
/// is a change when fewer than `significance` of the permutations have a better one; then again in
/// each part. Distances are those of ranks within the part, so that a lone outlier weighs no more
/// than its neighbour. The place is then sharpened by least squares that outliers take no part in.
/// Increasing indices. The time is quadratic in the values and linear in permutations.
std::vector<ChangePoint> FindChangePoints(std::span<const double> history,
                                          const ChangePointOptions& options = {});

}  // namespace tern
