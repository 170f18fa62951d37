#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "perf/plot.h"
#include "profile/pictures.h"
#include "profile/summary.h"

namespace tern {
namespace {

constexpr double kLabelFrom = 0.02;  // share of a phase's time from which an operation is named

PlotSeries Operations(const ProfilePhase& phase) {
  const PhaseSummary summary = Summarize(phase);
  PlotSeries series{
      .name = fmt::format("{} ({})", phase.name, phase.test.Name()), .points = {}, .line = false};
  for (const OpGroup& group : summary.ops) {
    if (group.operations <= 0 || group.seconds <= 0) continue;
    const double share = group.seconds / summary.seconds;
    series.points.push_back(
        {group.Intensity(), group.GigaOpsPerSecond(),
         fmt::format(
             "{} {}: {:.3g} operations a byte, {:.4g} GOPS, {:.0f}% of the limit, {:.1f}% of "
             "the time",
             phase.name, group.name, group.Intensity(), group.GigaOpsPerSecond(),
             group.PercentOfLimit(), 100 * share),
         share >= kLabelFrom ? group.name : "", 0.8 + 2 * std::sqrt(share)});
  }
  return series;
}

// Of the peaks that an operation of the profile is held to.
std::vector<ProfileLimits::Peak> PeaksInUse(const Profile& profile) {
  std::vector<ProfileLimits::Peak> peaks;
  for (const ProfilePhase& phase : profile.phases)
    for (const ProfiledOp& op : phase.ops) {
      const ProfileLimits::Peak* peak = profile.limits.For(op.call.cost, op.call.rows);
      const auto same = [peak](const ProfileLimits::Peak& p) { return p.name == peak->name; };
      if (peak && op.call.cost.operations > 0 && std::none_of(peaks.begin(), peaks.end(), same))
        peaks.push_back(*peak);
    }
  std::sort(peaks.begin(), peaks.end(),
            [](const auto& a, const auto& b) { return a.tops > b.tops; });
  return peaks;
}

}  // namespace

std::string RooflineSvg(const Profile& profile, SvgUse use) {
  Plot plot{.title = fmt::format("Roofline: {}, {} thread{}", profile.subject.model,
                                 profile.subject.threads, profile.subject.threads == 1 ? "" : "s"),
            .x = {.label = "operations per byte", .scale = AxisScale::kLog},
            .y = {.label = "GOPS", .scale = AxisScale::kLog},
            .series = {},
            .width = use == SvgUse::kFile ? 720.0 : 600.0,
            .height = 480};
  std::vector<PlotSeries> phases;
  double left = 0, right = 0;
  for (const ProfilePhase& phase : profile.phases) {
    phases.push_back(Operations(phase));
    phases.back().colour = phases.size() - 1;
    for (const PlotPoint& point : phases.back().points) {
      left = left > 0 ? std::min(left, point.x) : point.x;
      right = std::max(right, point.x);
    }
  }
  const std::vector<ProfileLimits::Peak> peaks = PeaksInUse(profile);
  const double stream = profile.limits.stream;
  if (left > 0 && stream > 0 && !peaks.empty()) {
    const double ridge = 1e3 * peaks.front().tops / stream;
    left /= 2;
    right = 20 * std::max(right, ridge);
    const auto roof = [&](std::string name, PlotPoint from, PlotPoint to) {
      plot.series.push_back({.name = std::move(name),
                             .points = {std::move(from), std::move(to)},
                             .dots = false,
                             .colour = kSvgColours - 1});
    };
    roof(fmt::format("{} {:.1f} GB/s, and peaks", profile.limits.stream_name, stream),
         {left, left * stream}, {ridge, ridge * stream});
    plot.y.max = 2e3 * peaks.front().tops;
    for (const ProfileLimits::Peak& peak : peaks) {
      const double gops = 1e3 * peak.tops;
      roof("", {gops / stream, gops},
           {right, gops, "", fmt::format("{} {:.2f} TOPS", peak.name, peak.tops)});
    }
  }
  for (PlotSeries& series : phases) plot.series.push_back(std::move(series));
  return DrawPlot(plot, use);
}

}  // namespace tern
