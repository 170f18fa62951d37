#include "perf/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "perf/plot_axis.h"

namespace tern {
namespace {

constexpr double kFont = 13, kSmall = 11;
constexpr double kLeft = 62, kRight = 18, kBottom = 50, kTitle = 32, kLegendRow = 20;
constexpr double kDot = 4;

struct Box {
  double x = 0, y = 0, width = 0, height = 0;
  bool Meets(const Box& other) const {
    return x < other.x + other.width && other.x < x + width && y < other.y + other.height &&
           other.y < y + height;
  }
};

// One plot on its way to the canvas.
class Drawing {
 public:
  explicit Drawing(const Plot& plot)
      : plot_(plot),
        // A long legend makes the picture taller instead of the frame lower.
        height_(plot.height + std::max(LegendHeight() - kLegendRow, 0.0)),
        canvas_(plot.width, height_),
        top_(kTitle + LegendHeight() + 8) {}

  std::string Draw(SvgUse use) {
    canvas_.Text(12, 21, plot_.title, "tp-title");
    DrawLegend();
    const double bottom = height_ - kBottom;
    const PlacedAxis x(plot_.x, Values(&PlotPoint::x), kLeft, plot_.width - kLeft - kRight);
    const PlacedAxis y(plot_.y, Values(&PlotPoint::y), bottom, -(bottom - top_));
    DrawFrame(x, y);
    bool any = false;
    for (size_t i = 0; i < plot_.series.size(); ++i) any |= DrawSeries(i, x, y);
    if (!any)
      canvas_.Text((kLeft + plot_.width - kRight) / 2, (top_ + bottom) / 2, "no data", "tp-soft",
                   SvgAnchor::kMiddle);
    for (size_t i = 0; i < plot_.series.size(); ++i) DrawLabels(plot_.series[i], x, y);
    return canvas_.Finish(plot_.title, use);
  }

 private:
  // Of the points that both axes can show, as far as the other axis is logarithmic.
  std::vector<double> Values(double PlotPoint::*member) const {
    const auto shows = [](const Axis& axis, double value) {
      return std::isfinite(value) && (axis.scale == AxisScale::kLinear || value > 0);
    };
    std::vector<double> values;
    for (const PlotSeries& series : plot_.series)
      for (const PlotPoint& point : series.points)
        if (shows(plot_.x, point.x) && shows(plot_.y, point.y)) values.push_back(point.*member);
    return values;
  }

  static double EntryWidth(const PlotSeries& series) {
    return 28 + SvgTextWidth(series.name, kFont) + 14;
  }

  // Calls place(series, x, row) for each entry; returns the rows.
  template <class Place>
  int LayLegend(Place place) const {
    double x = 12;
    int row = 0;
    bool any = false;
    for (size_t i = 0; i < plot_.series.size(); ++i) {
      if (plot_.series[i].name.empty()) continue;
      const double width = EntryWidth(plot_.series[i]);
      if (x > 12 && x + width > plot_.width) {
        x = 12;
        ++row;
      }
      place(i, x, row);
      x += width;
      any = true;
    }
    return any ? row + 1 : 0;
  }

  double LegendHeight() const {
    return kLegendRow * LayLegend([](size_t, double, int) {});
  }

  std::string ColourOf(size_t i) const { return SvgColour(plot_.series[i].colour.value_or(i)); }

  std::string LineClasses(size_t i) const {
    return "tp-line " + ColourOf(i) + (plot_.series[i].dashed ? " tp-dash" : "");
  }

  void DrawLegend() {
    LayLegend([this](size_t i, double x, int row) {
      const double y = kTitle + kLegendRow * (row + 0.5);
      const PlotSeries& series = plot_.series[i];
      if (series.line) canvas_.Line(x, y, x + 22, y, LineClasses(i));
      if (series.dots) canvas_.Circle(x + 11, y, kDot, "tp-dot " + ColourOf(i));
      canvas_.Text(x + 28, y + 4.5, series.name, "");
    });
  }

  void DrawFrame(const PlacedAxis& x, const PlacedAxis& y) {
    const double right = plot_.width - kRight, bottom = height_ - kBottom;
    for (const double tick : y.ticks()) {
      canvas_.Line(kLeft, y.At(tick), right, y.At(tick), "tp-grid");
      canvas_.Text(kLeft - 7, y.At(tick) + 4, ShortNumber(tick), "tp-small tp-soft",
                   SvgAnchor::kEnd);
    }
    double free_from = 0;
    for (const double tick : x.ticks()) {
      const std::string text = ShortNumber(tick);
      const double half = SvgTextWidth(text, kSmall) / 2;
      canvas_.Line(x.At(tick), bottom, x.At(tick), bottom + 4, "tp-axis");
      if (x.At(tick) - half < free_from) continue;
      canvas_.Text(x.At(tick), bottom + 17, text, "tp-small tp-soft", SvgAnchor::kMiddle);
      free_from = x.At(tick) + half + 5;
    }
    canvas_.Line(kLeft, bottom, right, bottom, "tp-axis");
    canvas_.Text((kLeft + right) / 2, height_ - 12, plot_.x.label, "tp-small tp-soft",
                 SvgAnchor::kMiddle);
    canvas_.TextUpwards(16, (top_ + bottom) / 2, plot_.y.label, "tp-small tp-soft");
  }

  bool DrawSeries(size_t i, const PlacedAxis& x, const PlacedAxis& y) {
    const PlotSeries& series = plot_.series[i];
    std::vector<std::pair<double, double>> run;
    const auto flush = [&] {
      if (series.line) canvas_.Path(run, LineClasses(i));
      run.clear();
    };
    bool any = false;
    for (const PlotPoint& point : series.points) {
      if (x.Shows(point.x) && y.Shows(point.y)) {
        run.emplace_back(x.At(point.x), y.At(point.y));
        any = true;
      } else {
        flush();
      }
    }
    flush();
    if (!series.dots) return any;
    for (const PlotPoint& point : series.points) {
      if (!x.Shows(point.x) || !y.Shows(point.y)) continue;
      const double radius = kDot * point.size;
      canvas_.Circle(x.At(point.x), y.At(point.y), radius, "tp-dot " + ColourOf(i), point.title);
      taken_.push_back({x.At(point.x) - radius, y.At(point.y) - radius, 2 * radius, 2 * radius});
    }
    return any;
  }

  // Each label stands at the first place around its point where nothing stands yet.
  void DrawLabels(const PlotSeries& series, const PlacedAxis& x, const PlacedAxis& y) {
    for (const PlotPoint& point : series.points) {
      if (point.label.empty() || !x.Shows(point.x) || !y.Shows(point.y)) continue;
      const double px = x.At(point.x), py = y.At(point.y);
      const double width = SvgTextWidth(point.label, kSmall), height = kSmall + 2;
      // Beside a dot; on a line without dots, above it.
      const Box box = series.dots ? Place(px, py, kDot * point.size + 4, width, height)
                                  : Box{px - width, py - height - 3, width, height};
      taken_.push_back(box);
      canvas_.Text(box.x, box.y + kSmall, point.label, "tp-small tp-halo");
    }
  }

  Box Place(double x, double y, double radius, double width, double height) const {
    const double right = plot_.width - kRight, bottom = height_ - kBottom;
    const Box best{std::min(x + radius, right - width), y - height / 2, width, height};
    for (int ring = 0; ring < 6; ++ring) {
      const double away = radius + ring * (height - 2);
      const Box places[] = {{x + away, y - height / 2, width, height},
                            {x - away - width, y - height / 2, width, height},
                            {x - width / 2, y - away - height, width, height},
                            {x - width / 2, y + away, width, height},
                            {x + radius, y - away - height, width, height},
                            {x + radius, y + away, width, height},
                            {x - radius - width, y - away - height, width, height},
                            {x - radius - width, y + away, width, height}};
      for (const Box& place : places) {
        const bool inside = place.x >= kLeft && place.x + width <= right && place.y >= top_ &&
                            place.y + height <= bottom;
        if (inside && std::none_of(taken_.begin(), taken_.end(),
                                   [&](const Box& box) { return box.Meets(place); }))
          return place;
      }
    }
    return best;
  }

  const Plot& plot_;
  double height_;
  SvgCanvas canvas_;
  double top_;
  std::vector<Box> taken_;
};

}  // namespace

std::string DrawPlot(const Plot& plot, SvgUse use) { return Drawing(plot).Draw(use); }

std::string DrawBars(const BarPlot& plot, SvgUse use) {
  constexpr double kBar = 18, kGap = 8, kLongestName = 0.45;
  double names = 0, notes = 0, highest = 0;
  for (const Bar& bar : plot.bars) {
    names = std::max(names, SvgTextWidth(bar.name, kFont));
    const std::string note = bar.note.empty() ? ShortNumber(bar.value) : bar.note;
    notes = std::max(notes, SvgTextWidth(note, kSmall));
    if (std::isfinite(bar.value)) highest = std::max(highest, bar.value);
  }
  const double left = 12 + std::min(names, kLongestName * plot.width) + 10;
  const double room = std::max(plot.width - left - notes - 20, 40.0);
  const double top = plot.max.value_or(highest);
  const double height = kTitle + 18 + (kBar + kGap) * static_cast<double>(plot.bars.size());
  SvgCanvas canvas(plot.width, std::max(height, 90.0));
  canvas.Text(12, 21, plot.title, "tp-title");
  canvas.Text(plot.width - 12, 21, plot.unit, "tp-small tp-soft", SvgAnchor::kEnd);
  if (plot.bars.empty()) canvas.Text(plot.width / 2, 60, "no data", "tp-soft", SvgAnchor::kMiddle);
  double y = kTitle + 10;
  for (const Bar& bar : plot.bars) {
    const bool shown = std::isfinite(bar.value) && bar.value > 0 && top > 0;
    const double width = shown ? std::min(bar.value / top, 1.0) * room : 0;
    const std::string note = bar.note.empty() ? ShortNumber(bar.value) : bar.note;
    canvas.Text(left - 10, y + 13.5, bar.name, "", SvgAnchor::kEnd);
    canvas.Rect(left, y, std::max(width, 1.0), kBar, "tp-fill " + SvgColour(bar.colour),
                fmt::format("{}: {}", bar.name, note));
    canvas.Text(left + width + 6, y + 13, note, "tp-small tp-soft");
    y += kBar + kGap;
  }
  return canvas.Finish(plot.title, use);
}

}  // namespace tern
