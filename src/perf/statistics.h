// Summaries of repeated measurements.
#pragma once

#include <span>

namespace tern {

/// 0 for no values.
double Mean(std::span<const double> values);
/// Of the sample (n - 1); 0 for fewer than two values.
double SampleDeviation(std::span<const double> values);
/// Nearest rank: the smallest value that at least p percent of the values don't exceed; p in
/// [0, 100]. 0 for no values.
double Percentile(std::span<const double> values, double p);
/// The middle value, or the mean of the two middle ones; 0 for no values.
double Median(std::span<const double> values);

struct Spread {
  double median = 0, min = 0, max = 0;
};
/// All 0 for no values.
Spread SpreadOf(std::span<const double> values);

}  // namespace tern
