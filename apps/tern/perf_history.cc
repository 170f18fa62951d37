// tern perf history: where in a baseline's runs something changed.
#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "perf/change_point.h"
#include "perf/plot.h"
#include "perf/statistics.h"
#include "perf_commands.h"

namespace tern::cli {
namespace {

struct Options {
  std::string name, only, tolerance = "2%", output = "table";
  StoreOptions store;
};

struct History {
  std::string benchmark, metric;
  bool more_is_better = false;
  std::vector<double> values;  // the median of each run
  std::vector<const BaselineRun*> runs;
  std::vector<ChangePoint> changes;
};

std::vector<History> Collect(const std::vector<BaselineRun>& runs, const Options& options,
                             double min_effect, size_t* strangers) {
  std::map<std::pair<std::string, std::string>, History> found;
  for (const BaselineRun& run : runs) {
    if (!(run.machine == runs.back().machine)) {
      ++*strangers;
      continue;
    }
    for (const BaselineResult& result : run.results) {
      const std::vector<double> values = result.Values();
      if (values.empty() || result.benchmark.find(options.only) == std::string::npos) continue;
      History& history = found[{result.benchmark + result.parameters, result.metric}];
      history.benchmark = result.benchmark;
      history.metric = result.metric;
      history.more_is_better = result.more_is_better;
      history.values.push_back(Median(values));
      history.runs.push_back(&run);
    }
  }
  std::vector<History> histories;
  for (auto& [key, history] : found) {
    history.changes = FindChangePoints(history.values, {.min_effect = min_effect});
    histories.push_back(std::move(history));
  }
  return histories;
}

std::string Describe(const History& history, const ChangePoint& change) {
  const BaselineRun& first = *history.runs[change.index];
  const BaselineRun& before = *history.runs[change.index - 1];
  const bool slower = (change.after > change.before) != history.more_is_better;
  return fmt::format(
      "{} from commit {} on (run {}, {}; the one before: {}): {:.6g} -> {:.6g}, "
      "{:+.1f}%, p {:.2g}",
      slower ? "slower" : "faster", first.commit.empty() ? "?" : first.commit, first.id,
      first.recorded_at, before.commit.empty() ? "?" : before.commit, change.before, change.after,
      100 * (change.after / change.before - 1), change.p);
}

std::string Picture(const History& history) {
  Plot plot{.title = fmt::format("{}, {}", history.benchmark, history.metric),
            .x = {.label = "run"},
            .y = {.label = history.metric},
            .series = {},
            .width = 760,
            .height = 300};
  PlotSeries values{.name = "median of a run", .points = {}, .line = false};
  for (size_t i = 0; i < history.values.size(); ++i)
    values.points.push_back({static_cast<double>(i + 1), history.values[i],
                             fmt::format("{} {}", history.runs[i]->commit, history.values[i])});
  plot.series.push_back(std::move(values));
  PlotSeries levels{.name = "level", .points = {}, .dots = false, .colour = 1};
  for (size_t i = 0; i <= history.changes.size(); ++i) {
    const size_t begin = i > 0 ? history.changes[i - 1].index : 0;
    const size_t end =
        i < history.changes.size() ? history.changes[i].index : history.values.size();
    const double level = Median(std::span(history.values).subspan(begin, end - begin));
    levels.points.push_back({static_cast<double>(begin) + 0.5, level});
    levels.points.push_back({static_cast<double>(end) + 0.5, level});
  }
  plot.series.push_back(std::move(levels));
  return DrawPlot(plot, SvgUse::kInline);
}

std::string Html(const std::string& name, const std::vector<History>& histories) {
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>{0}</title>\n"
      "<style>{1}\n:root {{ color-scheme: light dark; }}\nbody {{ font: 15px/1.5 system-ui, "
      "sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}\nsvg {{ max-width: "
      "100%; height: auto; }}\n</style></head><body>\n<h1>History of {0}</h1>\n",
      XmlEscaped(name), SvgStyle());
  for (const History& history : histories) {
    out += Picture(history) + "\n<ul>\n";
    for (const ChangePoint& change : history.changes)
      out += "<li>" + XmlEscaped(Describe(history, change)) + "</li>\n";
    out += history.changes.empty() ? "<li>no change</li></ul>\n" : "</ul>\n";
  }
  return out + "</body></html>\n";
}

void PrintJson(const std::vector<History>& histories) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const History& history : histories) {
    nlohmann::ordered_json changes = nlohmann::ordered_json::array();
    for (const ChangePoint& change : history.changes)
      changes.push_back({{"index", change.index},
                         {"run", history.runs[change.index]->id},
                         {"commit", history.runs[change.index]->commit},
                         {"before", change.before},
                         {"after", change.after},
                         {"p", change.p}});
    out.push_back({{"benchmark", history.benchmark},
                   {"metric", history.metric},
                   {"values", history.values},
                   {"changes", std::move(changes)}});
  }
  fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

Result<int> Show(const Options& options) {
  TERN_ASSIGN_OR_RETURN(BaselineStore store, OpenStore(options.store));
  TERN_ASSIGN_OR_RETURN(const auto runs, RunsOf(store, options.name));
  TERN_ASSIGN_OR_RETURN(const double min_effect, ParseShare(options.tolerance));
  size_t strangers = 0;
  const std::vector<History> histories = Collect(runs, options, min_effect, &strangers);
  if (strangers > 0) PrintNote(fmt::format("{} runs of other machines are left out", strangers));
  if (options.output == "json") {
    PrintJson(histories);
  } else if (options.output == "html") {
    fmt::print("{}", Html(options.name, histories));
  } else {
    for (const History& history : histories) {
      fmt::print("{}, {}: {} runs, {}\n", history.benchmark, history.metric, history.values.size(),
                 history.changes.empty() ? "no change" : "changes:");
      for (const ChangePoint& change : history.changes)
        fmt::print("  {}\n", Describe(history, change));
    }
  }
  return kExitOk;
}

}  // namespace

Action DefinePerfHistory(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("NAME", options->name, "The baseline, recorded once for each commit")->required();
  app.add_option("--only", options->only, "Only benchmarks with this text in their name")
      ->option_text("TEXT");
  app.add_option("--tolerance", options->tolerance, "Smaller changes are none (default 2%)")
      ->option_text("SHARE");
  app.add_option("-o,--output", options->output, "table (default), json, or html with plots")
      ->option_text("FORM")
      ->check(CLI::IsMember({"table", "json", "html"}));
  AddStoreOption(app, options->store);
  return [options] { return Show(*options); };
}

}  // namespace tern::cli
