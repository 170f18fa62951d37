#include "perf/trend.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "perf/statistics.h"

namespace tern {
namespace {

constexpr double kTwoSided95 = 1.959963984540054;

// The variance of Kendall's score has less where values or times tie (Sen 1968, 2.6).
template <class Field>
double TieTerm(std::span<const TrendPoint> points, Field field) {
  std::map<double, double> groups;
  for (const TrendPoint& point : points) ++groups[point.*field];
  double sum = 0;
  for (const auto& [value, n] : groups) sum += n * (n - 1) * (2 * n + 5);
  return sum;
}

}  // namespace

Trend TheilSen(std::span<const TrendPoint> points) {
  if (points.size() < 3) return {};
  std::vector<double> slopes;
  slopes.reserve(points.size() * (points.size() - 1) / 2);
  for (size_t i = 0; i < points.size(); ++i)
    for (size_t j = i + 1; j < points.size(); ++j)
      if (const double time = points[j].time - points[i].time; time != 0)
        slopes.push_back((points[j].value - points[i].value) / time);
  if (slopes.empty()) return {};
  std::sort(slopes.begin(), slopes.end());
  const auto n = static_cast<double>(points.size());
  const double variance = (n * (n - 1) * (2 * n + 5) - TieTerm(points, &TrendPoint::value) -
                           TieTerm(points, &TrendPoint::time)) /
                          18;
  const double width = kTwoSided95 * std::sqrt(std::max(0.0, variance));
  const auto count = static_cast<double>(slopes.size());
  const auto at = [&](double rank) {
    return slopes[static_cast<size_t>(std::clamp(std::round(rank), 0.0, count - 1))];
  };
  return {Median(slopes), at((count - width) / 2 - 1), at((count + width) / 2)};
}

}  // namespace tern
