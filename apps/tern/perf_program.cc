#include "perf_program.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "child_process.h"
#include "formats/hf_json.h"

namespace tern::cli {
namespace {

namespace fs = std::filesystem;

struct Metric {
  std::string field;
  bool more = false;  // is better
};

// Rates, as tern and llama-bench name them; everything else is a time or a size.
bool MoreIsBetter(std::string_view field) {
  constexpr std::array kRates = {"_ts",
                                 "per_s",
                                 "gb_s",
                                 "tops",
                                 "all_threads",
                                 "one_thread",
                                 "percent_of_peak",
                                 "percent_of_stream",
                                 "speedup"};
  return std::any_of(kRates.begin(), kRates.end(),
                     [field](std::string_view rate) { return field.ends_with(rate); });
}

Metric ToMetric(const std::string& text) {
  const size_t colon = text.find(':');
  if (colon == std::string::npos) return {text, MoreIsBetter(text)};
  return {text.substr(0, colon), text.substr(colon + 1) == "more"};
}

const nlohmann::json* Usable(const nlohmann::json& row, const std::string& field) {
  const auto found = row.find(field);
  if (found == row.end()) return nullptr;
  return found->is_number() || (found->is_array() && !found->empty()) ? &*found : nullptr;
}

std::optional<Metric> MetricOf(const nlohmann::json& row, const RowChoice& choice) {
  if (!choice.metric.empty()) {
    const Metric metric = ToMetric(choice.metric);
    return Usable(row, metric.field) ? std::optional(metric) : std::nullopt;
  }
  for (const char* field :
       {"samples_ts", "avg_ts", "ops_per_s", "p50_us", "best_us", "all_threads"})
    if (Usable(row, field)) return Metric{field, MoreIsBetter(field)};
  return std::nullopt;
}

// Positive and finite: what ratios can be taken of.
std::vector<double> Samples(const nlohmann::json& value) {
  std::vector<double> samples;
  const auto take = [&](const nlohmann::json& v) {
    if (!v.is_number()) return;
    const auto number = v.get<double>();
    if (number > 0 && std::isfinite(number)) samples.push_back(number);
  };
  if (value.is_array())
    for (const auto& v : value) take(v);
  else
    take(value);
  return samples;
}

bool Has(const std::vector<std::string>& arguments, std::initializer_list<std::string_view> names) {
  return std::any_of(arguments.begin(), arguments.end(), [&](const std::string& argument) {
    return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
      return argument == name ||
             (name.starts_with("--") && argument.starts_with(std::string(name) + "="));
    });
  });
}

std::vector<std::string> CommandOf(const MeasuredProgram& program, bool rows) {
  std::vector<std::string> command = {program.path};
  command.insert(command.end(), program.arguments.begin(), program.arguments.end());
  if (program.arguments.empty() || program.arguments[0] != "bench" || !rows) return command;
  if (!Has(program.arguments, {"-o", "--output"})) command.insert(command.end(), {"-o", "json"});
  if (!Has(program.arguments, {"--no-limits", "--limits"})) command.emplace_back("--no-limits");
  return command;
}

Result<std::vector<BaselineResult>> ProcessRound(const MeasuredProgram& program) {
  ChildUsage usage;
  TERN_TRY(RunAndRead(CommandOf(program, false), program.env, &usage));
  std::vector<BaselineResult> results;
  const auto add = [&](const char* metric, double value) {
    results.push_back({"process",
                       program.Parameters(),
                       metric,
                       false,
                       {{std::max(value, 1e-6)}}});  // the clock of CPU time has steps
  };
  add("wall_s", usage.wall_s);
  add("cpu_s", usage.cpu_s);
  add("peak_mb", usage.peak_mb);
  return results;
}

}  // namespace

std::string MeasuredProgram::Parameters() const {
  return nlohmann::json{{"env", env}, {"arguments", arguments}}.dump(
      -1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string MeasuredProgram::Line() const {
  std::vector<std::string> words = env;
  words.push_back(path);
  words.insert(words.end(), arguments.begin(), arguments.end());
  return fmt::format("{}", fmt::join(words, " "));
}

Status ReadParameters(const std::string& parameters, MeasuredProgram& program) {
  TERN_ASSIGN_OR_RETURN(const nlohmann::json json, ParseJson(parameters, "parameters"));
  const auto texts = [&](const char* key, std::vector<std::string>& out) {
    if (!json.is_object() || !json.contains(key) || !json[key].is_array()) return false;
    for (const auto& text : json[key]) {
      if (!text.is_string()) return false;
      out.push_back(text.get<std::string>());
    }
    return true;
  };
  if (!texts("arguments", program.arguments) || !texts("env", program.env))
    return Fail(Code::kCorrupt, "parameters: found {}, expected arguments and env", parameters);
  return {};
}

Result<std::vector<BaselineResult>> RunRound(const MeasuredProgram& program,
                                             const RowChoice& choice) {
  if (choice.process) return ProcessRound(program);
  TERN_ASSIGN_OR_RETURN(const std::string text, RunAndRead(CommandOf(program, true), program.env));
  const std::string where = program.path + ": its output";
  TERN_ASSIGN_OR_RETURN(const nlohmann::json rows, ParseJson(text, where));
  if (!rows.is_array())
    return Fail(Code::kCorrupt, "{}: expected a JSON array of rows, as `tern bench -o json` has it",
                where);
  std::vector<BaselineResult> results;
  for (const nlohmann::json& row : rows) {
    if (!row.is_object()) continue;
    const std::string name = row.contains("test") && row["test"].is_string()
                                 ? row["test"].get<std::string>()
                                 : fmt::format("row {}", results.size());
    if (name.find(choice.only) == std::string::npos) continue;
    const auto metric = MetricOf(row, choice);
    if (!metric) continue;
    std::vector<double> samples = Samples(row[metric->field]);
    if (samples.empty()) continue;
    results.push_back(
        {name, program.Parameters(), metric->field, metric->more, {std::move(samples)}});
  }
  if (results.empty())
    return Fail(Code::kInvalidArgument, "{}: no row{} has {}", where,
                choice.only.empty() ? "" : fmt::format(" with '{}' in its name", choice.only),
                choice.metric.empty() ? "a rate or a time" : "the field " + choice.metric);
  return results;
}

void Append(std::vector<BaselineResult>& results, std::vector<BaselineResult> more) {
  for (BaselineResult& result : more) {
    const auto same = std::find_if(results.begin(), results.end(), [&](const auto& r) {
      return r.benchmark == result.benchmark && r.metric == result.metric;
    });
    if (same == results.end())
      results.push_back(std::move(result));
    else
      std::move(result.rounds.begin(), result.rounds.end(), std::back_inserter(same->rounds));
  }
}

BuildFacts AskBuild(const MeasuredProgram& program) {
  const auto text = RunAndRead({program.path, "perf", "machine", "-o", "json"});
  if (!text) return {};
  const auto json = ParseJson(*text, program.path);
  if (!json || !json->is_object()) return {};
  const auto field = [&](const char* key) {
    const auto found = json->find(key);
    return found != json->end() && found->is_string() ? found->get<std::string>() : "";
  };
  return {field("version"), field("compiler"), field("flags")};
}

std::string CommitOf(const std::string& program) {
  const std::string folder = fs::path(program).parent_path().string();
  auto head =
      RunAndRead({"git", "-C", folder.empty() ? "." : folder, "rev-parse", "--short=12", "HEAD"});
  if (!head) return "";
  head->erase(head->find_last_not_of(" \n") + 1);
  const auto changed = RunAndRead({"git", "-C", folder.empty() ? "." : folder, "status",
                                   "--porcelain", "--untracked-files=no"});
  return *head + (changed && !changed->empty() ? "+" : "");
}

Result<std::string> ResolveProgram(const std::string& name) {
  std::error_code ec;
  const fs::path path = name.empty() ? fs::read_symlink("/proc/self/exe", ec) : fs::path(name);
  if (ec || !fs::is_regular_file(path, ec))
    return Fail(Code::kNotFound, "{}: there is no such program",
                name.empty() ? "/proc/self/exe" : name);
  return fs::absolute(path, ec).string();
}

}  // namespace tern::cli
