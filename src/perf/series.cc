#include "perf/series.h"

#include <fmt/format.h>

#include <cmath>

#include "perf/statistics.h"

namespace tern {
namespace {

constexpr double kHour = 3600;
constexpr double kPercents[] = {50, 90, 95, 99, 99.9, 100};

Gauge& TrendGauge(MetricRegistry& registry, const char* which, const char* help,
                  const std::string& series) {
  return registry.AddGauge({fmt::format("tern_trend{}_per_hour", which), help},
                           {{"series", series}});
}

}  // namespace

TrendSeries::TrendSeries(MetricRegistry& registry, const std::string& name, double window)
    : window_(window),
      slope_(TrendGauge(registry, "",
                        "Change of a series over the last hour, as a share of its median (0.1: 10% "
                        "more in an hour).",
                        name)),
      low_(TrendGauge(registry, "_low", "Lower end of the trend's 95% confidence interval.", name)),
      high_(TrendGauge(registry, "_high", "Upper end of the trend's 95% confidence interval.",
                       name)) {}

void TrendSeries::Add(double now, double value) {
  // A little early is on time.
  constexpr double kEarly = 0.99;
  const double step = window_ / static_cast<double>(kPoints);
  if (!points_.empty() && now - points_.back().time < step * kEarly) return;
  points_.push_back({now, value});
  while (now - points_.front().time > window_) points_.pop_front();
}

void TrendSeries::Update() {
  std::vector<double> values;
  for (const TrendPoint& point : points_) values.push_back(point.value);
  const double median = Median(values);
  const bool known = points_.size() >= kFewestPoints && median > 0;
  const Trend trend =
      known ? TheilSen(std::vector<TrendPoint>(points_.begin(), points_.end())) : Trend{};
  const auto set = [&](Gauge& gauge, double slope) {
    gauge.Set(known ? std::optional(slope * kHour / median) : std::nullopt);
  };
  set(slope_, trend.slope);
  set(low_, trend.low);
  set(high_, trend.high);
}

TimeSeries::TimeSeries(MetricRegistry& registry, const std::string& name, const std::string& help,
                       const std::vector<MetricLabels>& labels) {
  for (const MetricLabels& each : labels)
    histograms_.push_back(&registry.AddHistogram({name + "_seconds", help + ".", "seconds"},
                                                 DecimalBounds(0.0001, 100), each));
  for (const double percent : kPercents)
    percentiles_.emplace_back(
        percent, &registry.AddGauge({name + "_recent_seconds",
                                     help + ", percentiles of the last minute.", "seconds"},
                                    {{"percentile", fmt::format("{}", percent)}}));
}

HistogramSnapshot TimeSeries::Total() const {
  HistogramSnapshot total;
  for (const Histogram* histogram : histograms_) total.Merge(histogram->Snapshot());
  return total;
}

HistogramSnapshot TimeSeries::Look(double now) {
  HistogramSnapshot total = Total();
  HistogramSnapshot fresh = moments_.empty() ? total : total.Since(moments_.back().total);
  moments_.push_back({now, std::move(total)});
  while (moments_.size() > 1 && now - moments_[1].time >= kRecent) moments_.pop_front();
  return fresh;
}

HistogramSnapshot TimeSeries::Recent() const {
  return moments_.empty() ? Total() : Total().Since(moments_.front().total);
}

void TimeSeries::Publish() {
  const HistogramSnapshot recent = Recent();
  for (const auto& [percent, gauge] : percentiles_)
    gauge->Set(recent.count() > 0 ? std::optional(recent.Percentile(percent)) : std::nullopt);
}

}  // namespace tern
