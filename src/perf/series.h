// A quantity that is measured again and again: since the start, lately, and where it is heading.
#pragma once

#include <array>
#include <deque>
#include <string>
#include <vector>

#include "perf/metrics.h"
#include "perf/trend.h"

namespace tern {

/// Up to kPoints values, evenly over a window of time, and their trend in shares of their median
/// per hour, published as tern_trend_per_hour{series} with its bounds. Thread rule: one owner.
class TrendSeries {
 public:
  static constexpr size_t kPoints = 120;
  static constexpr size_t kFewestPoints = 12;  // fewer have no trend

  TrendSeries(MetricRegistry& registry, const std::string& name, double window);
  /// now: seconds, never less than before. Values that come faster than points are left out.
  void Add(double now, double value);
  void Update();

 private:
  const double window_;
  std::deque<TrendPoint> points_;
  Gauge &slope_, &low_, &high_;
};

/// A histogram <name>_seconds, and percentiles of the last minute or so as
/// <name>_recent_seconds{percentile}. Thread rule: Record from any thread, the rest from one at a
/// time.
class TimeSeries {
 public:
  static constexpr double kRecent = 60;  // seconds

  /// labels make several histograms; lately they are one.
  TimeSeries(MetricRegistry& registry, const std::string& name, const std::string& help,
             const std::vector<MetricLabels>& labels = {{}});

  void Record(double seconds, uint64_t times = 1) noexcept { Record(0, seconds, times); }
  void Record(size_t label, double seconds, uint64_t times) noexcept {
    histograms_[label]->Record(seconds, times);
  }

  HistogramSnapshot Total() const;
  /// What has come since the last call. Kept for the percentiles.
  HistogramSnapshot Look(double now);
  HistogramSnapshot Recent() const;
  /// Sets the percentiles.
  void Publish();

 private:
  struct Moment {
    double time;
    HistogramSnapshot total;
  };

  std::vector<Histogram*> histograms_;
  std::deque<Moment> moments_;  // the first is kRecent ago, if there is one so old
  std::vector<std::pair<double, Gauge*>> percentiles_;
};

}  // namespace tern
