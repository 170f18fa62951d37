// Prometheus' text format 0.0.4: written, and read again.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "perf/histogram.h"

namespace tern {

/// Names are ours and not checked here.
using MetricLabels = std::vector<std::pair<std::string, std::string>>;

/// Builds the text. Thread rule: one owner.
class PrometheusText {
 public:
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

  enum class Type : uint8_t { kCounter, kGauge, kHistogram };
  /// The values that follow belong to this name.
  void Begin(std::string_view name, Type type, std::string_view help);
  void Value(double value, const MetricLabels& labels = {}, std::string_view suffix = {});
  /// Cumulative counts up to each of the bounds (ascending) and up to infinity, sum and count.
  void Value(const HistogramSnapshot& histogram, const std::vector<double>& bounds,
             const MetricLabels& labels = {});
  /// One value.
  void Add(std::string_view name, Type type, std::string_view help, double value);

  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
  std::string name_;
};

/// A line of the format.
struct MetricSample {
  std::string name;
  MetricLabels labels;
  double value = 0;

  /// "" when there is no such label.
  std::string_view Label(std::string_view name) const;
};

/// Lines that are no sample, comments among them, are left out: the text comes from anywhere.
std::vector<MetricSample> ParsePrometheusText(std::string_view text);

}  // namespace tern
