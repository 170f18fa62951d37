// What `tern top` shows of a server's /metrics.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "perf/prometheus_text.h"

namespace tern::cli {

/// The metrics at a moment.
class TopLook {
 public:
  TopLook(double time, std::vector<MetricSample> samples)
      : time_(time), samples_(std::move(samples)) {}

  double time() const { return time_; }  // seconds, on any clock
  /// Nothing for a metric that isn't there, or NaN. Labels: all of these.
  std::optional<double> Find(std::string_view name, const MetricLabels& labels = {}) const;
  /// The label's values, in the text's order.
  std::vector<std::string> Values(std::string_view name, std::string_view label) const;

 private:
  double time_;
  std::vector<MetricSample> samples_;
};

struct TopStyle {
  int columns = 80;
  bool color = false;
};

/// Lines of at most so many columns, each ending in a newline. Rates are those between the two
/// looks; before may be null. What the server doesn't say is "-".
std::string RenderTop(const TopLook* before, const TopLook& now, const TopStyle& style);

}  // namespace tern::cli
