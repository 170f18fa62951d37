// A comparison as a table, Markdown, JSON or a page with plots.
#include <cmath>
#include <nlohmann/json.hpp>

#include "human.h"
#include "perf/plot.h"
#include "perf_commands.h"

namespace tern::cli {
namespace {

using Table = std::vector<std::vector<std::string>>;  // the head first

std::string Change(double ratio) { return fmt::format("{:+.1f}%", 100 * (ratio - 1)); }

std::string VerdictText(const Comparison& c) {
  if (c.verdict != Verdict::kUnknown || c.more_rounds == 0)
    return std::string(VerdictName(c.verdict));
  return fmt::format("can't tell: about {} more rounds would", c.more_rounds);
}

// What the rows say, in the order in which people ask.
Table ToTable(const PerfReport& report) {
  Table table = {{"benchmark", "metric", "A", "B", "cost of B",
                  fmt::format("{:.0f}% interval", 100 * (1 - report.options.level)), "p", "rounds",
                  "verdict"}};
  for (const Comparison& c : report.comparisons)
    table.push_back({c.series.name, c.series.metric, fmt::format("{:.6g}", c.median_a),
                     fmt::format("{:.6g}", c.median_b), Change(c.cost.ratio),
                     fmt::format("{} .. {}", Change(c.cost.low), Change(c.cost.high)),
                     fmt::format("{:.2g}", c.p_adjusted),
                     fmt::format("{}, {}", c.series.a.size(), c.series.b.size()), VerdictText(c)});
  return table;
}

std::string Aligned(const Table& table) {
  std::vector<size_t> widths(table[0].size(), 0);
  for (const auto& row : table)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string out;
  for (const auto& row : table) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string Markdown(const Table& table) {
  std::string out;
  for (size_t i = 0; i < table.size(); ++i) {
    for (const std::string& cell : table[i]) out += "| " + cell + " ";
    out += "|\n";
    if (i > 0) continue;
    for (size_t k = 0; k < table[0].size(); ++k) out += "| --- ";
    out += "|\n";
  }
  return out;
}

// How it was decided, in a sentence.
std::string Method(const PerfReport& report) {
  const bool paired = !report.comparisons.empty() && report.comparisons[0].series.paired;
  const char* correction = report.options.correction == Correction::kHolm ? "Holm"
                           : report.options.correction == Correction::kBenjaminiHochberg
                               ? "Benjamini-Hochberg"
                               : "no";
  return fmt::format(
      "{}; {} resamples (seed {}); p of {}, {} correction; a change of {:.3g}% matters.",
      paired ? "Median of the ratios of pairs that ran in turn, percentile bootstrap"
             : "Ratio of medians, percentile bootstrap",
      report.options.resamples, report.options.seed,
      paired ? "Wilcoxon's signed ranks" : "Mann and Whitney's test", correction,
      100 * report.options.tolerance);
}

std::vector<std::string> Lines(const PerfReport& report) {
  std::vector<std::string> lines = {"A: " + report.a, "B: " + report.b,
                                    "Machine: " + report.machine, "Method: " + Method(report)};
  for (const std::string& note : report.notes) lines.push_back("Note: " + note);
  return lines;
}

std::string Json(const PerfReport& report) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Comparison& c : report.comparisons)
    rows.push_back({{"benchmark", c.series.name},
                    {"metric", c.series.metric},
                    {"verdict", VerdictName(c.verdict)},
                    {"cost_ratio", c.cost.ratio},
                    {"cost_low", c.cost.low},
                    {"cost_high", c.cost.high},
                    {"p", c.p},
                    {"p_adjusted", c.p_adjusted},
                    {"median_a", c.median_a},
                    {"median_b", c.median_b},
                    {"paired", c.series.paired},
                    {"noise", c.series.noise},
                    {"more_rounds", c.more_rounds},
                    {"samples_a", c.series.a},
                    {"samples_b", c.series.b}});
  const nlohmann::ordered_json document = {
      {"title", report.title},
      {"a", report.a},
      {"b", report.b},
      {"machine", report.machine},
      {"method", Method(report)},
      {"notes", report.notes},
      {"tolerance", report.options.tolerance},
      {"level", report.options.level},
      {"verdict", VerdictName(RegressionDetector::Worst(report.comparisons))},
      {"comparisons", std::move(rows)}};
  return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

// Each benchmark's interval on a line of its own, "no change" in the middle.
std::string Forest(const PerfReport& report) {
  Plot plot{.title = "Cost of B over cost of A",
            .x = {.label = "ratio (1: the same; right: slower)"},
            .y = {.label = ""},
            .series = {},
            .width = 720,
            .height = 120 + 40.0 * static_cast<double>(report.comparisons.size())};
  const auto rows = static_cast<double>(report.comparisons.size());
  const double most = 1 + report.options.tolerance;
  for (const double bound : {1 / most, 1.0, most})
    plot.series.push_back({.name = bound == 1  ? "no change"
                                   : bound > 1 ? "tolerance"
                                               : "",
                           .points = {{bound, 0}, {bound, rows + 1}},
                           .dots = false,
                           .dashed = bound != 1,
                           .colour = bound == 1 ? 6 : 7});
  plot.y.min = 0;
  plot.y.max = rows + 1;
  plot.y.ticks = {-1};  // outside: the rows have no numbers
  for (size_t i = 0; i < report.comparisons.size(); ++i) {
    const Comparison& c = report.comparisons[i];
    const double y = rows - static_cast<double>(i);
    const size_t colour = c.verdict == Verdict::kSlower ? 1 : c.verdict == Verdict::kFaster ? 2 : 0;
    plot.series.push_back({.name = "",
                           .points = {{c.cost.low, y}, {c.cost.high, y}},
                           .dots = false,
                           .colour = colour});
    plot.series.push_back(
        {.name = "",
         .points = {{c.cost.ratio, y, fmt::format("{}: {}", c.series.name, Change(c.cost.ratio))}},
         .line = false,
         .colour = colour});
    // The name stands above its line, not on it.
    plot.series.push_back({.name = "",
                           .points = {{c.cost.low, y + 0.45, "", c.series.name, 0.01}},
                           .line = false,
                           .colour = colour});
  }
  return DrawPlot(plot, SvgUse::kInline);
}

std::string Samples(const Comparison& c) {
  Plot plot{.title = fmt::format("{}, {}", c.series.name, c.series.metric),
            .x = {.label = "round"},
            .y = {.label = c.series.metric},
            .series = {},
            .width = 720,
            .height = 280};
  for (const bool b : {false, true}) {
    PlotSeries series{.name = b ? "B" : "A", .points = {}, .colour = b ? 1 : 0};
    const auto& values = b ? c.series.b : c.series.a;
    for (size_t i = 0; i < values.size(); ++i)
      series.points.push_back({static_cast<double>(i + 1), values[i]});
    plot.series.push_back(std::move(series));
  }
  return DrawPlot(plot, SvgUse::kInline);
}

std::string Html(const PerfReport& report) {
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>{0}</title>\n"
      "<style>{1}\n:root {{ color-scheme: light dark; }}\nbody {{ font: 15px/1.5 system-ui, "
      "sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}\n.wide {{ overflow-x: "
      "auto; }}\n"
      "table {{ border-collapse: collapse; }}\nth, td {{ text-align: left; padding: .2rem .8rem "
      ".2rem 0; border-bottom: 1px solid #8886; white-space: nowrap; }}\n"
      "td:last-child {{ min-width: 12rem; white-space: normal; }}\nsvg {{ max-width: 100%; "
      "height: auto; }}\n</style></head><body>\n<h1>{0}</h1>\n<p><strong>{2}</strong></p>\n",
      XmlEscaped(report.title), SvgStyle(),
      VerdictName(RegressionDetector::Worst(report.comparisons)));
  for (const std::string& line : Lines(report)) out += "<p>" + XmlEscaped(line) + "</p>\n";
  out += "<div class=\"wide\"><table>\n";
  const Table table = ToTable(report);
  for (size_t i = 0; i < table.size(); ++i) {
    out += "<tr>";
    for (const std::string& cell : table[i])
      out += fmt::format("<{0}>{1}</{0}>", i == 0 ? "th" : "td", XmlEscaped(cell));
    out += "</tr>\n";
  }
  out += "</table></div>\n" + Forest(report) + "\n";
  for (const Comparison& c : report.comparisons) out += Samples(c) + "\n";
  return out + "</body></html>\n";
}

}  // namespace

std::string FormatReport(const PerfReport& report, const std::string& form) {
  if (form == "json") return Json(report);
  if (form == "html") return Html(report);
  std::string out = form == "md" ? "# " + report.title + "\n\n" : report.title + "\n\n";
  out += form == "md" ? Markdown(ToTable(report)) : Aligned(ToTable(report));
  out += "\n";
  for (const std::string& line : Lines(report)) out += (form == "md" ? "- " : "") + line + "\n";
  return out;
}

int FinishReport(const PerfReport& report, const std::string& form) {
  fmt::print("{}", FormatReport(report, form));
  const Verdict worst = RegressionDetector::Worst(report.comparisons);
  PrintNote(fmt::format("verdict: {}", VerdictName(worst)));
  if (worst == Verdict::kSlower) return kExitSlower;
  return worst == Verdict::kUnknown ? kExitCantTell : kExitOk;
}

}  // namespace tern::cli
