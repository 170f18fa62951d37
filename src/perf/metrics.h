// Named counters, gauges and histograms, and their text for Prometheus.
#pragma once

#include <atomic>
#include <cmath>
#include <deque>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "perf/histogram.h"
#include "perf/prometheus_text.h"

namespace tern {

/// Only grows. Thread rule: any thread.
class Counter {
 public:
  void Add(double amount = 1) noexcept { value_.fetch_add(amount, std::memory_order_relaxed); }
  /// For a count that somebody else keeps.
  void Set(double total) noexcept { value_.store(total, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_ = 0;
};

/// A value of now, or none: what is not known is left out of the text, never 0. Thread rule: any
/// thread.
class Gauge {
 public:
  void Set(double value) noexcept { value_.store(value, std::memory_order_relaxed); }
  void Set(std::optional<double> value) noexcept { Set(value ? *value : kNone); }
  std::optional<double> value() const {
    const double value = value_.load(std::memory_order_relaxed);
    return std::isnan(value) ? std::nullopt : std::optional(value);
  }

 private:
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  std::atomic<double> value_ = kNone;
};

/// What a name means. The unit is a base unit of Prometheus ("seconds", "bytes", "joules", "ratio",
/// "tokens", ...) or empty for plain numbers; the name ends with it, a counter's in "_total" after
/// it.
struct MetricInfo {
  std::string name;
  std::string help;
  std::string unit = {};
};

/// Owns the values; references stay good as long as it lives. The same name with other labels is
/// another value of the same family, whose help and unit are those of the first. Names that break
/// the rules above or Prometheus' are a mistake of the program (TERN_CHECK). Thread rule: any
/// thread.
class MetricRegistry {
 public:
  Counter& AddCounter(const MetricInfo& info, MetricLabels labels = {});
  Gauge& AddGauge(const MetricInfo& info, MetricLabels labels = {});
  /// bounds: ascending, of the buckets in the text; the histogram itself is finer.
  Histogram& AddHistogram(const MetricInfo& info, std::vector<double> bounds,
                          MetricLabels labels = {});

  /// Families in the order in which they were added, without those that have no value.
  void Render(PrometheusText& out) const;

 private:
  struct Value {
    MetricLabels labels;
    std::unique_ptr<Counter> counter;  // one of these three
    std::unique_ptr<Gauge> gauge;
    std::unique_ptr<Histogram> histogram;
  };
  struct Family {
    MetricInfo info;
    PrometheusText::Type type;
    std::vector<double> bounds;
    std::vector<Value> values;
  };

  Value& AddValue(const MetricInfo& info, PrometheusText::Type type, MetricLabels labels);
  Family& FamilyOf(const MetricInfo& info, PrometheusText::Type type);
  static void RenderFamily(const Family& family, PrometheusText& out);

  mutable std::mutex mutex_;  // of the list, not of the values
  std::deque<Family> families_;
};

/// 1, 2.5 and 5 times powers of ten, from `first` to `last`: bounds for times.
std::vector<double> DecimalBounds(double first, double last);

}  // namespace tern
