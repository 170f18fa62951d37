// Where a noisy series is heading.
#pragma once

#include <span>

namespace tern {

struct TrendPoint {
  double time = 0;  // any unit
  double value = 0;
};

struct Trend {
  double slope = 0;          // value per unit of time
  double low = 0, high = 0;  // about 95% confidence that the slope is in between
  bool Rising() const { return low > 0; }
  bool Falling() const { return high < 0; }
};

/// The median of the slopes between all pairs of points at different times (Theil 1950), with the
/// interval of Sen (1968): the slopes whose ranks are z * sqrt(n (n - 1) (2n + 5) / 18) apart
/// around the middle, where values tie fewer. Outliers in up to 29% of the points don't move it.
/// The interval takes the noise of different points for independent. All 0 for fewer than three
/// points. O(n^2).
Trend TheilSen(std::span<const TrendPoint> points);

}  // namespace tern
