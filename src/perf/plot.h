// Plots as SVG: lines and points over linear or logarithmic axes, and bars.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "perf/svg.h"

namespace tern {

enum class AxisScale : uint8_t { kLinear, kLog };

struct Axis {
  std::string label;
  AxisScale scale = AxisScale::kLinear;
  std::optional<double> min = {}, max = {};  // absent: from the data
  std::vector<double> ticks = {};            // empty: nice ones
  bool from_zero = false;                    // linear: the axis begins at 0 (or below)
};

/// Between `low` and `high`, both included: about `count` multiples of 1, 2 or 5 times a power of
/// ten. Nothing when an end isn't finite or low >= high.
std::vector<double> NiceTicks(double low, double high, int count);
/// Powers of ten in [low, high], not all when they are more than `count`; where fewer than three
/// fall inside, 2 and 5 times such too. Nothing unless 0 < low < high and both are finite.
std::vector<double> LogTicks(double low, double high, int count);

struct PlotPoint {
  double x = 0, y = 0;
  std::string title = {};  // what a pointer over the point shows
  std::string label = {};  // written beside it
  double size = 1;         // of its dot
};

/// Points that aren't finite, or not positive on a logarithmic axis, are left out and cut a line.
struct PlotSeries {
  std::string name;  // in the legend; "": not there
  std::vector<PlotPoint> points;
  bool line = true, dots = true, dashed = false;
  std::optional<size_t> colour = {};  // absent: the number of the series
};

struct Plot {
  std::string title;
  Axis x, y;
  std::vector<PlotSeries> series;
  double width = 560, height = 340;  // taller when the legend has several rows
};

/// Draws "no data" in an empty frame when no point is left.
std::string DrawPlot(const Plot& plot, SvgUse use);

struct Bar {
  std::string name;
  double value = 0;       // negative or not finite: no bar
  std::string note = {};  // behind the bar; empty: the value
  size_t colour = 0;
};

/// Horizontal bars from 0, one below the other; as tall as they need.
struct BarPlot {
  std::string title, unit;
  std::vector<Bar> bars;
  std::optional<double> max = {};  // of the axis; absent: from the bars
  double width = 560;
};

std::string DrawBars(const BarPlot& plot, SvgUse use);

}  // namespace tern
