#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "perf/plot.h"
#include "profile/bench_page.h"
#include "profile/pictures.h"

namespace tern {
namespace {

std::string Subject(const BenchmarkRow& row) {
  return fmt::format("{}, {} threads", row.subject.model, row.subject.threads);
}

// The test without one of its sizes: rows that differ in that size alone are one line.
std::string Without(BenchmarkTest test, int64_t BenchmarkTest::*size, int64_t neutral) {
  test.*size = neutral;
  return test.Name();
}

PlotPoint RatePoint(const BenchmarkRow& row, double x) {
  return {x, row.Rate(),
          fmt::format("{}, {}: {:.4g} t/s", Subject(row), row.test.Name(), row.Rate())};
}

struct Lines {
  std::vector<PlotSeries> series;
  std::set<double> values;  // of x
};

// A line for each key that has several values of x.
template <class Key, class X>
Lines LinesOver(const std::vector<BenchmarkRow>& rows, Key key, X x) {
  std::map<std::string, std::vector<PlotPoint>> points;
  for (const BenchmarkRow& row : rows)
    if (const std::string name = key(row); !name.empty())
      points[name].push_back(RatePoint(row, x(row)));
  Lines lines;
  for (auto& [name, line] : points) {
    std::sort(line.begin(), line.end(), [](const auto& a, const auto& b) { return a.x < b.x; });
    if (line.front().x == line.back().x) continue;
    for (const PlotPoint& point : line) lines.values.insert(point.x);
    lines.series.push_back({.name = name, .points = std::move(line)});
  }
  return lines;
}

// From zero, unless lines that are far lower would all lie on the axis: decode beside prefill.
Axis RateAxis(const std::vector<PlotSeries>& series) {
  constexpr double kFar = 5;
  double lowest = 0, highest = 0;
  for (const PlotSeries& line : series)
    for (const PlotPoint& point : line.points) {
      if (point.y > 0) lowest = lowest > 0 ? std::min(lowest, point.y) : point.y;
      highest = std::max(highest, point.y);
    }
  const bool far = highest > kFar * lowest;
  return {.label = "tokens a second",
          .scale = far ? AxisScale::kLog : AxisScale::kLinear,
          .from_zero = !far};
}

PagePlot RatePlot(std::string name, std::string x_label, AxisScale scale, Lines lines,
                  std::string missing) {
  PagePlot result{.name = name};
  if (lines.series.empty()) {
    result.missing = std::move(missing);
    return result;
  }
  Plot plot{.title = std::move(name),
            .x = {.label = std::move(x_label), .scale = scale},
            .y = RateAxis(lines.series),
            .series = std::move(lines.series)};
  plot.x.ticks.assign(lines.values.begin(), lines.values.end());
  result.svg = DrawPlot(plot, SvgUse::kInline);
  return result;
}

PagePlot BatchPlot(const BenchPage& page) {
  return RatePlot(
      "Throughput against batch", "sequences decoded at once", AxisScale::kLog,
      LinesOver(
          page.rows,
          [](const BenchmarkRow& row) {
            if (row.test.generate == 0) return std::string();
            return fmt::format("{}, {}", Subject(row),
                               Without(row.test, &BenchmarkTest::sequences, 1));
          },
          [](const BenchmarkRow& row) { return static_cast<double>(row.test.sequences); }),
      "there is one batch size alone (-npl)");
}

PagePlot ContextPlot(const BenchPage& page) {
  return RatePlot(
      "Throughput against context", "tokens in the cache before the test", AxisScale::kLinear,
      LinesOver(
          page.rows,
          [](const BenchmarkRow& row) {
            return fmt::format("{}, {}", Subject(row), Without(row.test, &BenchmarkTest::depth, 0));
          },
          [](const BenchmarkRow& row) { return static_cast<double>(row.test.depth); }),
      "there is one depth alone (-d)");
}

PagePlot ThreadsPlot(const BenchPage& page) {
  PagePlot plot = RatePlot(
      "Scaling over threads", "threads", AxisScale::kLog,
      LinesOver(
          page.rows,
          [](const BenchmarkRow& row) {
            return fmt::format("{}, {}", row.subject.model, row.test.Name());
          },
          [](const BenchmarkRow& row) { return static_cast<double>(row.subject.threads); }),
      "there is one number of threads alone (-t)");
  return plot;
}

// Share of the passes that took no longer, over milliseconds.
PagePlot LatencyPlot(const BenchPage& page) {
  Plot plot{.title = "Latency of a forward pass",
            .x = {.label = "milliseconds", .scale = AxisScale::kLog},
            .y = {.label = "% of passes", .min = 0, .max = 100},
            .series = {}};
  constexpr size_t kFewest = 5;  // passes that make a distribution
  for (const BenchmarkRow& row : page.rows) {
    if (row.latencies.size() < kFewest) continue;
    std::vector<double> sorted = row.latencies;
    std::sort(sorted.begin(), sorted.end());
    PlotSeries series{
        .name = fmt::format("{}, {}", Subject(row), row.test.Name()), .points = {}, .dots = false};
    for (size_t i = 0; i < sorted.size(); ++i) {
      const double below = 100.0 * static_cast<double>(i) / static_cast<double>(sorted.size());
      const double up_to = 100.0 * static_cast<double>(i + 1) / static_cast<double>(sorted.size());
      series.points.push_back({1e3 * sorted[i], below});
      series.points.push_back({1e3 * sorted[i], up_to});
    }
    plot.series.push_back(std::move(series));
  }
  if (plot.series.size() > kSvgColours) {  // more can't be told apart: decode of one sequence first
    std::stable_sort(plot.series.begin(), plot.series.end(), [](const auto& a, const auto& b) {
      return a.points.size() > b.points.size();
    });
    plot.series.resize(kSvgColours);
  }
  return {.name = plot.title,
          .svg = DrawPlot(plot, SvgUse::kInline),
          .note = "How many passes took no longer than so many milliseconds."};
}

PagePlot LimitPlot(const BenchPage& page) {
  PagePlot result{.name = "Distance to the limit"};
  BarPlot plot{.title = result.name, .unit = "% of the nearer limit", .bars = {}, .max = 100};
  for (const BenchmarkRow& row : page.rows) {
    const double stream = row.StreamPercent(), peak = row.PeakPercent();
    if (stream <= 0 && peak <= 0) continue;
    const bool memory = stream >= peak;
    plot.bars.push_back(
        {fmt::format("{}, {}", Subject(row), row.test.Name()), std::max(stream, peak),
         fmt::format("{:.0f}% of {}", std::max(stream, peak),
                     memory ? "memory" : fmt::format("int8 {}", row.subject.limits.peak_name)),
         memory ? size_t{0} : size_t{1}});
  }
  if (plot.bars.empty()) {
    result.missing = "the limits of the machine were not measured";
    return result;
  }
  result.svg = DrawBars(plot, SvgUse::kInline);
  result.note =
      "Of prefills the ternary layers alone are counted; head and attention take time too.";
  return result;
}

PagePlot HistoryPlot(const BenchPage& page) {
  PagePlot result{.name = "History"};
  std::vector<HistoryPoint> points = page.history;
  for (HistoryPoint& point : PointsOf(page)) points.push_back(std::move(point));
  std::stable_sort(points.begin(), points.end(),
                   [](const auto& a, const auto& b) { return a.when < b.when; });
  std::map<std::string, size_t> moments;
  for (const HistoryPoint& point : points) moments.try_emplace(point.when, 0);
  size_t count = 0;
  for (auto& [when, number] : moments) number = ++count;
  std::map<std::string, PlotSeries> series;
  for (const HistoryPoint& point : points) {
    PlotSeries& line = series[point.series];
    line.name = point.series;
    line.points.push_back(
        {static_cast<double>(moments[point.when]), point.rate,
         fmt::format("{}, {}{}{}: {:.4g} t/s", point.series, point.when,
                     point.commit.empty() ? "" : ", commit ", point.commit, point.rate)});
  }
  Plot plot{.title = result.name,
            .x = {.label = count > 0 ? fmt::format("measurement, {} .. {}", moments.begin()->first,
                                                   moments.rbegin()->first)
                                     : ""},
            .y = {.label = "tokens a second", .scale = AxisScale::kLog},
            .series = {}};
  for (const HistoryPoint& point : PointsOf(page)) {  // in the order of the rows
    const auto found = series.find(point.series);
    if (found == series.end() || found->second.points.size() < 2) continue;
    if (plot.series.size() < kSvgColours) plot.series.push_back(std::move(found->second));
    series.erase(found);
  }
  if (plot.series.empty()) {
    result.missing = "no earlier report has these tests (--history)";
    return result;
  }
  for (size_t i = 1; i <= count; ++i)
    if (count <= 12 || i % (count / 6) == 0) plot.x.ticks.push_back(static_cast<double>(i));
  result.svg = DrawPlot(plot, SvgUse::kInline);
  return result;
}

}  // namespace

std::string HistorySeries(const BenchmarkRow& row) {
  return fmt::format("{}, {}", Subject(row), row.test.Name());
}

std::vector<HistoryPoint> PointsOf(const BenchPage& page) {
  std::vector<HistoryPoint> points;
  for (const BenchmarkRow& row : page.rows)
    points.push_back({HistorySeries(row), page.when, page.commit, row.Rate()});
  return points;
}

std::vector<PagePlot> PlotsOf(const BenchPage& page) {
  std::vector<PagePlot> plots = {BatchPlot(page), ContextPlot(page), ThreadsPlot(page),
                                 LatencyPlot(page), LimitPlot(page)};
  for (const Profile& profile : page.profiles)
    plots.push_back(
        {.name = "Roofline",
         .svg = RooflineSvg(profile, SvgUse::kInline),
         .note = "One run taken apart; a dot is an operation, as large as its share of the time."});
  plots.push_back(HistoryPlot(page));
  return plots;
}

}  // namespace tern
