#include "profile/bench_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "perf/report.h"
#include "perf/svg.h"
#include "profile/summary.h"

namespace tern {
namespace {

constexpr std::string_view kPageStyle = R"(
:root{color-scheme:light dark;--page:#f8f9f8;--surface:#fff;--ink:#172024;--soft:#53626a;--line:#dfe4e3;--accent:#0b5f6f}
@media (prefers-color-scheme:dark){:root{--page:#121719;--surface:#1a2123;--ink:#e8edee;--soft:#a3b0b6;--line:#2d373b;--accent:#7accd8}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",Arial,sans-serif}
header,main{max-width:76rem;margin:0 auto;padding:1.25rem}
main{padding-top:0}
h1{margin:0 0 .25rem;font-size:1.6rem;line-height:1.25;overflow-wrap:anywhere}
h2{margin:2.25rem 0 .75rem;font-size:1.2rem}
h3{margin:1.5rem 0 .5rem;font-size:1rem}
p{margin:.4rem 0}
.soft{color:var(--soft)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.75rem;margin:1rem 0 0}
.tile{padding:.75rem 1rem;border:1px solid var(--line);border-radius:.625rem;background:var(--surface)}
.tile b{display:block;font-size:1.5rem;line-height:1.3;font-weight:650}
.tile span{display:block;color:var(--soft);font-size:.875rem;overflow-wrap:anywhere}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(32rem,100%),1fr));gap:1rem;align-items:start}
figure{margin:0;min-width:0;padding:.75rem;border:1px solid var(--line);border-radius:.625rem;background:var(--surface)}
figure>div{overflow-x:auto}
figure svg{display:block;width:100%;min-width:27rem;height:auto}
figcaption{padding:.25rem .25rem 0;color:var(--soft);font-size:.875rem}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:.625rem;background:var(--surface)}
table{width:100%;border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}
th,td{padding:.4rem .5rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th{color:var(--soft);font-weight:550}
tr:last-child td{border-bottom:0}
.l{text-align:left}
pre{margin:0;padding:.75rem 1rem;overflow-x:auto;border:1px solid var(--line);border-radius:.625rem;background:var(--surface);font:.875rem/1.5 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.25rem 1rem;margin:1rem 0}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
@media (max-width:32rem){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}header,main{padding:1rem .75rem}main{padding-top:0}}
)";

std::string E(std::string_view text) { return XmlEscaped(text); }

std::string Figure(double value, const char* unit = "") {
  if (!(value > 0)) return "";
  return fmt::format("{:.{}f}{}", value, value < 10 ? 2 : value < 100 ? 1 : 0, unit);
}

struct Column {
  std::string name;
  bool text = false;  // stands left
};

std::string Table(const std::vector<Column>& columns,
                  const std::vector<std::vector<std::string>>& rows, std::string_view label) {
  const auto align = [&columns](size_t i) { return columns[i].text ? " class=\"l\"" : ""; };
  // Who can't use a pointer scrolls with the keyboard.
  std::string out = fmt::format(
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><table><thead><tr>",
      E(label));
  for (size_t i = 0; i < columns.size(); ++i)
    out += fmt::format("<th scope=\"col\"{}>{}</th>", align(i), E(columns[i].name));
  out += "</tr></thead><tbody>\n";
  for (const auto& row : rows) {
    out += "<tr>";
    for (size_t i = 0; i < columns.size(); ++i)
      out += fmt::format("<td{}>{}</td>", align(i), E(row[i]));
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string RowsTable(const BenchPage& page) {
  std::vector<std::vector<std::string>> rows;
  for (const BenchmarkRow& row : page.rows)
    rows.push_back(
        {row.subject.model, row.subject.backend, std::to_string(row.subject.threads),
         row.test.Name(), fmt::format("{:.2f} ± {:.2f}", row.Rate(), row.Deviation()),
         fmt::format("{:.2f}", 1e3 * row.Latency(50)), fmt::format("{:.2f}", 1e3 * row.Latency(95)),
         fmt::format("{:.2f}", 1e3 * row.Latency(99)), std::to_string(row.latencies.size()),
         Figure(row.GigabytesPerSecond()), Figure(row.StreamPercent(), "%"), Figure(row.TeraOps()),
         Figure(row.PeakPercent(), "%")});
  return Table({{"model", true},
                {"backend", true},
                {"threads"},
                {"test", true},
                {"tokens a second"},
                {"P50 ms"},
                {"P95 ms"},
                {"P99 ms"},
                {"passes"},
                {"GB/s"},
                {"of stream"},
                {"TOPS"},
                {"of peak"}},
               rows, "Measured rows");
}

std::string Tile(const std::string& figure, const std::string& what) {
  return fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span></div>\n", E(figure), E(what));
}

// The fastest prefill and decode, and the decode of one sequence.
std::string Tiles(const BenchPage& page) {
  const BenchmarkRow *prefill = nullptr, *decode = nullptr, *single = nullptr;
  const auto faster = [](const BenchmarkRow*& best, const BenchmarkRow& row) {
    if (!best || row.Rate() > best->Rate()) best = &row;
  };
  for (const BenchmarkRow& row : page.rows) {
    faster(row.test.generate > 0 ? decode : prefill, row);
    if (row.test.generate > 0 && row.test.sequences == 1) faster(single, row);
  }
  std::string out = "<div class=\"tiles\">\n";
  const auto rate = [&out](const BenchmarkRow* row, const char* what) {
    if (row)
      out += Tile(fmt::format("{} t/s", ShortNumber(row->Rate())),
                  fmt::format("{}: {}, {}", what, row->subject.model, row->test.Name()));
  };
  rate(prefill, "prefill");
  rate(single, "decode of one sequence");
  if (decode != single) rate(decode, "decode of a batch");
  if (single) {
    out += Tile(
        fmt::format("{:.3g} / {:.3g} ms", 1e3 * single->Latency(50), 1e3 * single->Latency(99)),
        "P50 and P99 of a token");
    if (single->StreamPercent() > 0)
      out +=
          Tile(fmt::format("{:.0f}%", single->StreamPercent()), "of the memory stream, decoding");
  }
  return out + "</div>\n";
}

std::string Plots(const BenchPage& page) {
  std::string out = "<div class=\"plots\">\n", missing;
  for (const PagePlot& plot : PlotsOf(page)) {
    if (plot.svg.empty()) {
      missing +=
          fmt::format("<p class=\"soft\">{}: not here, {}.</p>\n", E(plot.name), E(plot.missing));
      continue;
    }
    out += fmt::format(
        "<figure><div tabindex=\"0\" role=\"region\" aria-label=\"{}\">{}</div>{}</figure>\n",
        E(plot.name), plot.svg,
        plot.note.empty() ? "" : fmt::format("<figcaption>{}</figcaption>", E(plot.note)));
  }
  return out + "</div>\n" + missing;
}

std::string ProfileSection(const Profile& profile) {
  std::string out;
  for (const ProfilePhase& phase : profile.phases) {
    const PhaseSummary summary = Summarize(phase);
    const bool known = profile.limits.stream > 0;
    std::vector<std::vector<std::string>> rows;
    for (const OpGroup& group : summary.ops)
      rows.push_back({group.name, std::to_string(group.calls),
                      fmt::format("{:.3f}", 1e3 * group.seconds),
                      fmt::format("{:.1f}%", 100 * group.seconds / summary.seconds),
                      Figure(group.GigabytesPerSecond()), Figure(group.GigaOpsPerSecond()),
                      known ? fmt::format("{:.0f}%", group.PercentOfLimit()) : "",
                      known ? std::string(BoundName(group.bound())) : ""});
    const std::string title =
        fmt::format("{}, {}: {}", profile.subject.model, phase.name, phase.test.Name());
    out += fmt::format(
        "<h3>{}</h3>\n<p>{} The operations are {:.1f}% of the time measured from "
        "outside.</p>\n",
        E(title), E(BoundSentence(phase, profile.limits)), summary.PartsPercent());
    out += Table({{"operation", true},
                  {"calls"},
                  {"ms"},
                  {"of time"},
                  {"GB/s"},
                  {"GOPS"},
                  {"of limit"},
                  {"bound", true}},
                 rows, title);
  }
  return out;
}

// A term and its description; nothing for what isn't known.
std::string Fact(const char* name, const std::string& value) {
  return value.empty() ? "" : fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, E(value));
}

std::string Size(uint64_t bytes) {
  return bytes == 0 ? "" : fmt::format("{}B", ShortNumber(static_cast<double>(bytes)));
}

std::string Joined(const std::set<std::string>& texts) {
  return fmt::format("{}", fmt::join(texts, "; "));
}

std::string Reproduce(const BenchPage& page) {
  const MachineFingerprint& machine = page.machine;
  std::set<std::string> models, limits;
  for (const BenchmarkRow& row : page.rows) {
    models.insert(fmt::format("{} ({} bytes, {} parameters)", row.subject.file, row.subject.bytes,
                              row.subject.parameters));
    const BenchmarkLimits& known = row.subject.limits;
    if (known.stream > 0)
      limits.insert(fmt::format(
          "{} threads: memory read {:.1f} GB/s{}", row.subject.threads, known.stream,
          known.peak > 0 ? fmt::format(", int8 {} {:.2f} TOPS", known.peak_name, known.peak) : ""));
  }
  const std::string caches = fmt::format("L1 {}, L2 {}, L3 {}", Size(machine.caches.l1d),
                                         Size(machine.caches.l2), Size(machine.caches.l3));
  std::string out = fmt::format("<pre tabindex=\"0\">{}</pre>\n<dl>\n", E(page.command));
  out += Fact("measured", page.when) + Fact("commit", page.commit) +
         Fact("version", page.build.version);
  out += Fact("compiler", page.build.compiler) + Fact("flags", page.build.flags);
  out += Fact("models", Joined(models)) + Fact("limits", Joined(limits));
  out += Fact("CPU", fmt::format("{}, {} in use", machine.cpu, machine.cpus));
  out += Fact("instruction sets", machine.features) + Fact("caches", caches);
  out += Fact("memory", machine.memory.empty()
                            ? Size(machine.memory_bytes)
                            : fmt::format("{}, {}", Size(machine.memory_bytes), machine.memory));
  out += Fact("GPU", machine.gpu) + Fact("GPU driver", machine.gpu_driver);
  out += Fact("clock governor", machine.governor) + Fact("system", machine.system);
  return out +
         "</dl>\n<p class=\"soft\">Rates are means over the repetitions, ± the deviation of the "
         "sample; latencies are nearest-rank percentiles over all passes. Limits were measured by "
         "the same process just before.</p>\n";
}

// The rows for programs. JSON may spell "<" as it likes, and then no text can end the element.
std::string Data(const BenchPage& page) {
  std::vector<Record> records;
  for (const BenchmarkRow& row : page.rows) records.push_back(row.ToRecord());
  std::string json;
  for (const char c : FormatRecords(records, ReportFormat::kJson, "")) {
    if (c == '<')
      json += "\\u003c";
    else
      json += c;
  }
  return fmt::format("<script type=\"application/json\" id=\"rows\">\n{}</script>\n", json);
}

}  // namespace

std::string BenchPageHtml(const BenchPage& page) {
  std::set<std::string> models;
  for (const BenchmarkRow& row : page.rows) models.insert(row.subject.model);
  const std::string title = fmt::format(
      "tern bench: {}", models.empty() ? "no rows" : fmt::format("{}", fmt::join(models, ", ")));
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{0}</title>\n<link rel=\"icon\" "
      "href=\"data:,\">\n<style>{1}{2}</style>\n</head>\n<body>\n<header>\n"
      "<h1>{0}</h1>\n<p class=\"soft\">{3}, {4}{5}</p>\n",
      E(title), kPageStyle, SvgStyle(), E(page.when), E(page.machine.cpu),
      page.commit.empty() ? "" : ", commit " + E(page.commit));
  out += Tiles(page) + "</header>\n<main>\n";
  out += "<h2>Measured</h2>\n" + RowsTable(page);
  out += "<h2>Plots</h2>\n" + Plots(page);
  if (!page.profiles.empty()) out += "<h2>One run taken apart</h2>\n";
  for (const Profile& profile : page.profiles) out += ProfileSection(profile);
  out += "<h2>Measure it again</h2>\n" + Reproduce(page);
  return out + "</main>\n" + Data(page) + "</body>\n</html>\n";
}

}  // namespace tern
