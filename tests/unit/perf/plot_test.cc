#include "perf/plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/property_tree/xml_parser.hpp>
#include <cmath>
#include <limits>
#include <sstream>
#include <string>

namespace tern {
namespace {

using boost::property_tree::ptree;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr double kInf = std::numeric_limits<double>::infinity();

// The picture's tree; throws, and so fails the test, when it isn't well-formed.
ptree Parse(const std::string& svg) {
  std::istringstream in(svg);
  ptree tree;
  boost::property_tree::read_xml(in, tree);
  return tree.get_child("svg");
}

std::vector<ptree> Find(const ptree& tree, const std::string& tag, const std::string& with = "") {
  std::vector<ptree> found;
  for (const auto& [name, child] : tree)
    if (name == tag && child.get("<xmlattr>.class", "").find(with) != std::string::npos)
      found.push_back(child);
  return found;
}

std::vector<std::string> Texts(const ptree& tree, const std::string& with = "") {
  std::vector<std::string> texts;
  for (const ptree& text : Find(tree, "text", with)) texts.push_back(text.data());
  return texts;
}

double Number(const ptree& element, const std::string& attribute) {
  return std::stod(element.get<std::string>("<xmlattr>." + attribute));
}

// Corners of every polyline, "x,y x,y".
std::vector<std::string> Lines(const ptree& tree) {
  std::vector<std::string> lines;
  for (const ptree& line : Find(tree, "polyline"))
    lines.push_back(line.get<std::string>("<xmlattr>.points"));
  return lines;
}

Plot TwoPoints() {
  return {.title = "rate",
          .x = {.label = "batch"},
          .y = {.label = "t/s", .from_zero = true},
          .series = {{.name = "a", .points = {{1, 10}, {2, 30}}}}};
}

TEST(NiceTicks, AreMultiplesOfOneTwoOrFive) {
  EXPECT_THAT(NiceTicks(0, 1, 5),
              testing::Pointwise(testing::DoubleNear(1e-12), {0.0, 0.2, 0.4, 0.6, 0.8, 1.0}));
  EXPECT_THAT(NiceTicks(0, 97, 5), ElementsAre(0, 20, 40, 60, 80));
  EXPECT_THAT(NiceTicks(-7, 7, 3), ElementsAre(-5, 0, 5));
  EXPECT_THAT(NiceTicks(1000, 3000, 4), ElementsAre(1000, 1500, 2000, 2500, 3000));
  EXPECT_THAT(NiceTicks(0, 1e300, 2), ElementsAre(0, 5e299, 1e300));
}

TEST(NiceTicks, ThereAreNoneWithoutASpan) {
  for (const auto& [low, high] : std::vector<std::pair<double, double>>{
           {1, 1}, {2, 1}, {NAN, 1}, {0, kInf}, {-kInf, 0}, {0, 5e-324}})
    EXPECT_THAT(NiceTicks(low, high, 5), IsEmpty()) << low << " " << high;
}

TEST(LogTicks, ArePowersOfTenAndForShortSpansTwoAndFiveTimesSuch) {
  EXPECT_THAT(LogTicks(1, 1000, 6), ElementsAre(1, 10, 100, 1000));
  EXPECT_THAT(LogTicks(3, 30, 6), ElementsAre(5, 10, 20));
  EXPECT_THAT(LogTicks(1, 1e12, 5), ElementsAre(1, 1e3, 1e6, 1e9, 1e12));
  EXPECT_THAT(LogTicks(0, 10, 5), IsEmpty());
  EXPECT_THAT(LogTicks(10, 1, 5), IsEmpty());
  EXPECT_THAT(LogTicks(1, kInf, 5), IsEmpty());
}

TEST(ShortNumber, IsOfFourDigitsWithAUnitWhereItIsLarge) {
  EXPECT_EQ(ShortNumber(0), "0");
  EXPECT_EQ(ShortNumber(-0.0), "0");
  EXPECT_EQ(ShortNumber(0.25), "0.25");
  EXPECT_EQ(ShortNumber(1500), "1500");
  EXPECT_EQ(ShortNumber(9999.9), "10000");
  EXPECT_EQ(ShortNumber(10000), "10k");
  EXPECT_EQ(ShortNumber(1234567), "1.235M");
  EXPECT_EQ(ShortNumber(-2e12), "-2T");
  EXPECT_EQ(ShortNumber(2e-5), "20µ");
  EXPECT_EQ(ShortNumber(NAN), "?");
}

TEST(XmlEscaped, LeavesNothingThatXmlCouldTakeForMarkupOrRefuse) {
  EXPECT_EQ(XmlEscaped("a<b> & \"c\" 'd'"), "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;");
  EXPECT_EQ(XmlEscaped("µ\t\n€😀"), "µ\t\n€😀");
  for (const std::string_view bad : {"\x01", "\x1b", "\xff", "\xc3", "\xe2\x82", "\xed\xa0\x80",
                                     "\xf5\x80\x80\x80", "\xc0\xaf", "\xef\xbf\xbf"})
    EXPECT_THAT(XmlEscaped(bad), testing::StartsWith("\xEF\xBF\xBD")) << bad;
  EXPECT_EQ(XmlEscaped("\xe2\x82z"), "\xEF\xBF\xBD\xEF\xBF\xBDz");
}

TEST(DrawPlot, PointsStandWhereTheAxesSay) {
  Plot plot = TwoPoints();
  plot.x.min = 0, plot.x.max = 4;
  plot.y.max = 40;
  const ptree svg = Parse(DrawPlot(plot, SvgUse::kInline));
  const auto dots = Find(svg, "circle");
  ASSERT_EQ(dots.size(), 3u);  // the legend's first
  const auto grid = Find(svg, "line", "tp-grid");
  ASSERT_EQ(grid.size(), 5u);  // 0, 10, .. 40
  // 10 is on the second line of the grid, 30 on the fourth; 1 a quarter along, 2 in the middle.
  EXPECT_NEAR(Number(dots[1], "cy"), Number(grid[1], "y1"), 0.02);
  EXPECT_NEAR(Number(dots[2], "cy"), Number(grid[3], "y1"), 0.02);
  const double left = Number(grid[0], "x1"), right = Number(grid[0], "x2");
  EXPECT_NEAR(Number(dots[1], "cx"), left + (right - left) / 4, 0.02);
  EXPECT_NEAR(Number(dots[2], "cx"), (left + right) / 2, 0.02);
  EXPECT_GT(Number(grid[0], "y1"), Number(grid[4], "y1"));
  EXPECT_THAT(Texts(svg, "tp-title"), ElementsAre("rate"));
  EXPECT_THAT(Texts(svg), testing::IsSupersetOf({"a", "batch", "t/s", "0", "10", "40"}));
}

TEST(DrawPlot, ALogarithmicAxisHasEqualStepsForEqualFactors) {
  Plot plot = TwoPoints();
  plot.x.scale = plot.y.scale = AxisScale::kLog;
  plot.series[0].points = {{1, 1}, {10, 10}, {100, 100}};
  const auto dots = Find(Parse(DrawPlot(plot, SvgUse::kInline)), "circle");
  ASSERT_EQ(dots.size(), 4u);
  for (const char* coordinate : {"cx", "cy"})
    EXPECT_NEAR(Number(dots[2], coordinate) - Number(dots[1], coordinate),
                Number(dots[3], coordinate) - Number(dots[2], coordinate), 0.03);
}

TEST(DrawPlot, WhatCannotBeShownIsLeftOutAndCutsTheLine) {
  Plot plot = TwoPoints();
  plot.y.scale = AxisScale::kLog;
  plot.series[0].points = {{1, 1}, {2, 2}, {3, NAN}, {4, 4}, {5, 5}, {6, 0}, {7, -1}, {kInf, 1}};
  const ptree svg = Parse(DrawPlot(plot, SvgUse::kInline));
  EXPECT_EQ(Find(svg, "circle").size(), 5u);
  EXPECT_EQ(Lines(svg).size(), 2u);
  EXPECT_THAT(Texts(svg), Not(testing::Contains("no data")));
}

TEST(DrawPlot, WithoutAnyPointItSaysSo) {
  Plot plot = TwoPoints();
  for (const std::vector<PlotPoint>& points :
       {std::vector<PlotPoint>{}, std::vector<PlotPoint>{{NAN, NAN}, {1, kInf}}}) {
    plot.series[0].points = points;
    for (const AxisScale scale : {AxisScale::kLinear, AxisScale::kLog}) {
      plot.x.scale = plot.y.scale = scale;
      const std::string picture = DrawPlot(plot, SvgUse::kFile);
      EXPECT_THAT(Texts(Parse(picture)), testing::Contains("no data"));
      EXPECT_THAT(picture, Not(HasSubstr("nan")));
      EXPECT_THAT(picture, Not(HasSubstr("inf")));
    }
  }
  plot.series.clear();
  EXPECT_THAT(Texts(Parse(DrawPlot(plot, SvgUse::kFile))), testing::Contains("no data"));
}

TEST(DrawPlot, OnePointAndHugeValuesFit) {
  Plot plot = TwoPoints();
  for (const double value : {0.0, 5.0, -5.0, 1e308, 1e-308}) {
    plot.series[0].points = {{value, value}};
    for (const ptree& dot : Find(Parse(DrawPlot(plot, SvgUse::kInline)), "circle")) {
      EXPECT_GE(Number(dot, "cx"), 0);
      EXPECT_LE(Number(dot, "cx"), plot.width);
      EXPECT_GE(Number(dot, "cy"), 0);
      EXPECT_LE(Number(dot, "cy"), plot.height);
    }
  }
}

TEST(DrawPlot, TicksThatAreGivenAreUsedAndOnlyInside) {
  Plot plot = TwoPoints();
  plot.x.scale = AxisScale::kLog;
  plot.x.ticks = {0, 1, 2, 4096};
  const auto texts = Texts(Parse(DrawPlot(plot, SvgUse::kInline)), "tp-soft");
  EXPECT_THAT(texts, testing::IsSupersetOf({"1", "2"}));
  EXPECT_THAT(texts, Not(testing::Contains("4096")));
}

TEST(DrawPlot, NamesAreEscapedAndLegendsBreakIntoRows) {
  Plot plot = TwoPoints();
  plot.title = "a<b> & \"c\"";
  plot.series.resize(12, plot.series[0]);
  for (PlotSeries& series : plot.series) series.name = "a long name </svg> of a series";
  plot.series[0].points[0].title = "<script>";
  plot.series[0].points[0].label = "x & y";
  const std::string picture = DrawPlot(plot, SvgUse::kFile);
  const ptree svg = Parse(picture);
  EXPECT_THAT(Texts(svg),
              testing::IsSupersetOf({plot.title, plot.series[0].name, std::string("x & y")}));
  EXPECT_THAT(picture, Not(HasSubstr("<script>")));
  for (const ptree& text : Find(svg, "text")) EXPECT_LE(Number(text, "x"), plot.width);
}

TEST(DrawPlot, LabelsDoNotCoverEachOther) {
  Plot plot = TwoPoints();
  plot.series[0].points.clear();
  for (int i = 0; i < 8; ++i)
    plot.series[0].points.push_back({100, 100 + i * 0.5, "", "label " + std::to_string(i)});
  plot.x.min = 0, plot.x.max = 200;
  const ptree svg = Parse(DrawPlot(plot, SvgUse::kInline));
  std::vector<std::pair<double, double>> places;
  for (const ptree& text : Find(svg, "text"))
    if (text.data().starts_with("label")) places.emplace_back(Number(text, "x"), Number(text, "y"));
  ASSERT_EQ(places.size(), 8u);
  const double width = SvgTextWidth("label 0", 11);
  for (size_t i = 0; i < places.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      EXPECT_TRUE(std::abs(places[i].first - places[j].first) >= width - 0.02 ||
                  std::abs(places[i].second - places[j].second) >= 11)
          << i << " " << j;
}

TEST(DrawPlot, AFileBringsItsStyleAndAPartOfAPageDoesNot) {
  EXPECT_THAT(DrawPlot(TwoPoints(), SvgUse::kFile), HasSubstr("prefers-color-scheme:dark"));
  EXPECT_THAT(DrawPlot(TwoPoints(), SvgUse::kInline), Not(HasSubstr("<style>")));
}

TEST(DrawBars, AreAsLongAsTheirValues) {
  const BarPlot plot{.title = "time",
                     .unit = "ms",
                     .bars = {{"a", 10}, {"b<", 5, "half"}, {"c", NAN}, {"d", -1}, {"e", 0}}};
  const ptree svg = Parse(DrawBars(plot, SvgUse::kInline));
  const auto bars = Find(svg, "rect", "tp-fill");
  ASSERT_EQ(bars.size(), 5u);
  EXPECT_NEAR(Number(bars[0], "width"), 2 * Number(bars[1], "width"), 0.02);
  for (size_t i : {2u, 3u, 4u}) EXPECT_LE(Number(bars[i], "width"), 1);
  EXPECT_THAT(Texts(svg), testing::IsSupersetOf({"a", "b<", "10", "half", "ms"}));
  EXPECT_THAT(Texts(Parse(DrawBars({}, SvgUse::kFile))), testing::Contains("no data"));
}

TEST(DrawBars, NothingReachesBeyondThePicture) {
  BarPlot plot{.title = "t", .unit = "u", .bars = {{std::string(200, 'w'), 1e12, "a note"}}};
  plot.max = 1;
  const auto bars = Find(Parse(DrawBars(plot, SvgUse::kInline)), "rect", "tp-fill");
  ASSERT_EQ(bars.size(), 1u);
  EXPECT_LE(Number(bars[0], "x") + Number(bars[0], "width"), plot.width);
}

}  // namespace
}  // namespace tern
