#include "perf/metrics.h"

#include <algorithm>

#include "base/check.h"

namespace tern {
namespace {

using Type = PrometheusText::Type;

bool IsName(std::string_view name) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
  return !name.empty() && is_letter(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

bool FollowsConventions(const MetricInfo& info, Type type) {
  constexpr std::string_view kTotal = "_total";
  std::string_view name = info.name;
  if (!IsName(name) || info.help.empty()) return false;
  if (name.ends_with(kTotal) != (type == Type::kCounter)) return false;
  if (type == Type::kCounter) name.remove_suffix(kTotal.size());
  return info.unit.empty() || name.ends_with("_" + info.unit);
}

}  // namespace

MetricRegistry::Family& MetricRegistry::FamilyOf(const MetricInfo& info, Type type) {
  for (Family& family : families_) {
    if (family.info.name != info.name) continue;
    TERN_CHECK(family.type == type);
    return family;
  }
  TERN_CHECK(FollowsConventions(info, type));
  families_.push_back({.info = info, .type = type, .bounds = {}, .values = {}});
  return families_.back();
}

MetricRegistry::Value& MetricRegistry::AddValue(const MetricInfo& info, Type type,
                                                MetricLabels labels) {
  Family& family = FamilyOf(info, type);
  for (const auto& [label, value] : labels) TERN_CHECK(IsName(label));
  for (const Value& value : family.values) TERN_CHECK(value.labels != labels);
  family.values.push_back(
      {.labels = std::move(labels), .counter = {}, .gauge = {}, .histogram = {}});
  return family.values.back();
}

Counter& MetricRegistry::AddCounter(const MetricInfo& info, MetricLabels labels) {
  const std::lock_guard lock(mutex_);
  Value& value = AddValue(info, Type::kCounter, std::move(labels));
  value.counter = std::make_unique<Counter>();
  return *value.counter;
}

Gauge& MetricRegistry::AddGauge(const MetricInfo& info, MetricLabels labels) {
  const std::lock_guard lock(mutex_);
  Value& value = AddValue(info, Type::kGauge, std::move(labels));
  value.gauge = std::make_unique<Gauge>();
  return *value.gauge;
}

Histogram& MetricRegistry::AddHistogram(const MetricInfo& info, std::vector<double> bounds,
                                        MetricLabels labels) {
  const std::lock_guard lock(mutex_);
  Value& value = AddValue(info, Type::kHistogram, std::move(labels));
  Family& family = FamilyOf(info, Type::kHistogram);
  if (family.bounds.empty()) family.bounds = std::move(bounds);
  value.histogram = std::make_unique<Histogram>();
  return *value.histogram;
}

void MetricRegistry::RenderFamily(const Family& family, PrometheusText& out) {
  bool begun = false;
  const auto begin = [&] {
    if (!std::exchange(begun, true)) out.Begin(family.info.name, family.type, family.info.help);
  };
  for (const Value& value : family.values) {
    if (value.gauge) {
      const auto now = value.gauge->value();
      if (!now) continue;
      begin();
      out.Value(*now, value.labels);
    } else if (value.counter) {
      begin();
      out.Value(value.counter->value(), value.labels);
    } else {
      begin();
      out.Value(value.histogram->Snapshot(), family.bounds, value.labels);
    }
  }
}

void MetricRegistry::Render(PrometheusText& out) const {
  const std::lock_guard lock(mutex_);
  for (const Family& family : families_) RenderFamily(family, out);
}

std::vector<double> DecimalBounds(double first, double last) {
  std::vector<double> bounds;
  for (int power = static_cast<int>(std::floor(std::log10(first))) - 1;; ++power) {
    for (const int step : {10, 25, 50}) {
      // One rounding: the text has the short number.
      const double bound =
          power - 1 < 0 ? step / std::pow(10.0, 1 - power) : step * std::pow(10.0, power - 1);
      if (bound > last * 1.001) return bounds;
      if (bound >= first * 0.999) bounds.push_back(bound);
    }
  }
}

}  // namespace tern
