#include "perf/plot_axis.h"

#include <algorithm>
#include <cmath>

namespace tern {
namespace {

constexpr int kTicks = 6;
constexpr double kAir = 0.04;       // around the data of a linear axis
constexpr double kLogAir = 1.25;    // the factor of a logarithmic one
constexpr double kRounding = 1e-9;  // of a step: what multiples of 0.1 are off by

}  // namespace

std::vector<double> NiceTicks(double low, double high, int count) {
  if (!std::isfinite(low) || !std::isfinite(high) || low >= high) return {};
  const double raw = (high - low) / std::max(count, 1);
  const double power = std::pow(10, std::floor(std::log10(raw)));
  if (!std::isfinite(raw) || !(power > 0)) return {};
  double step = 10 * power;
  for (const double multiple : {5.0, 2.0, 1.0})
    if (multiple * power >= raw * (1 - kRounding)) step = multiple * power;
  std::vector<double> ticks;
  const double first = std::ceil(low / step - kRounding),
               last = std::floor(high / step + kRounding);
  for (double i = first; i <= last && ticks.size() < 1000; ++i)
    ticks.push_back(i == 0 ? 0 : i * step);
  return ticks;
}

std::vector<double> LogTicks(double low, double high, int count) {
  if (!(low > 0) || !(low < high) || !std::isfinite(high)) return {};
  const auto first = static_cast<int>(std::ceil(std::log10(low) - kRounding));
  const auto last = static_cast<int>(std::floor(std::log10(high) + kRounding));
  const int powers = last - first + 1;
  std::vector<double> ticks;
  if (powers >= 3) {
    const int stride = (powers + count - 1) / std::max(count, 1);
    for (int i = first; i <= last; i += std::max(stride, 1)) ticks.push_back(std::pow(10, i));
    return ticks;
  }
  for (int i = first - 1; i <= last + 1; ++i)
    for (const double multiple : {1.0, 2.0, 5.0}) {
      const double tick = multiple * std::pow(10, i);
      if (tick >= low * (1 - kRounding) && tick <= high * (1 + kRounding)) ticks.push_back(tick);
    }
  return ticks;
}

PlacedAxis::PlacedAxis(const Axis& axis, const std::vector<double>& values, double origin,
                       double pixels)
    : log_(axis.scale == AxisScale::kLog), origin_(origin), pixels_(pixels) {
  double low = 0, high = 0;
  bool any = false;
  for (const double value : values) {
    if (!Shows(value)) continue;
    low = any ? std::min(low, value) : value;
    high = any ? std::max(high, value) : value;
    any = true;
  }
  if (!any) low = log_ ? 1 : 0, high = log_ ? 10 : 1;
  if (log_) {
    low /= kLogAir;
    high *= kLogAir;
  } else {
    if (low == high) low -= std::abs(low) / 2, high += high == 0 ? 1 : std::abs(high) / 2;
    const double air = kAir * (high - low);
    high += air;
    low = axis.from_zero ? std::min(low, 0.0) : low - air;
  }
  if (axis.min && Shows(*axis.min)) low = *axis.min;
  if (axis.max && Shows(*axis.max)) high = *axis.max;
  if (low < high) {
    low_ = low;
    high_ = high;
  } else {  // ends that contradict the data, or data without a span that a double can show
    low_ = log_ ? 1 : 0;
    high_ = log_ ? 10 : 1;
  }
  ticks_ = log_ ? LogTicks(low_, high_, kTicks) : NiceTicks(low_, high_, kTicks);
  if (axis.ticks.empty()) return;
  ticks_ = axis.ticks;
  std::erase_if(ticks_, [this](double tick) {
    return !Shows(tick) || tick < low_ * (1 - kRounding) || tick > high_ * (1 + kRounding);
  });
}

bool PlacedAxis::Shows(double value) const { return std::isfinite(value) && (!log_ || value > 0); }

double PlacedAxis::Scaled(double value) const { return log_ ? std::log10(value) : value; }

double PlacedAxis::At(double value) const {
  const double share = (Scaled(value) - Scaled(low_)) / (Scaled(high_) - Scaled(low_));
  return origin_ + std::clamp(share, 0.0, 1.0) * pixels_;
}

}  // namespace tern
