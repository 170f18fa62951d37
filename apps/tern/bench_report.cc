#include "bench_report.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "command.h"
#include "perf/report.h"
#include "perf/statistics.h"
#include "perf/store/baseline_store.h"
#include "perf_program.h"

namespace tern::cli {
namespace {

using Json = nlohmann::json;

constexpr const char* kHistoryFile = "history.jsonl";

std::vector<std::string>& CommandWords() {
  static std::vector<std::string> words;
  return words;
}

// As a shell takes it.
std::string Quoted(const std::string& word) {
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || std::strchr("-_./,:=+@%", c) != nullptr;
  };
  if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string CommandLine() {
  std::string line;
  for (const std::string& word : CommandWords()) line += (line.empty() ? "" : " ") + Quoted(word);
  return line;
}

std::string Now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

Result<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Fail(Code::kNotFound, "{}: can't be opened: {}", path, std::strerror(errno));
  return std::string{std::istreambuf_iterator<char>(file), {}};
}

std::string Text(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

double Number(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

std::string SeriesOf(const Json& row) {
  return fmt::format("{}, {} threads, {}", Text(row, "model"), Number(row, "n_threads"),
                     Text(row, "test"));
}

void AddRows(const Json& rows, const std::string& when, const std::string& commit,
             std::vector<HistoryPoint>& points) {
  for (const Json& row : rows)
    if (row.is_object() && Number(row, "avg_ts") > 0)
      points.push_back(
          {SeriesOf(row), when.empty() ? Text(row, "date") : when, commit, Number(row, "avg_ts")});
}

// What follows one of the option's names; "" when it isn't there.
std::string Argument(const std::vector<std::string>& arguments,
                     std::initializer_list<std::string_view> names) {
  const auto at =
      std::find_first_of(arguments.begin(), arguments.end(), names.begin(), names.end());
  return at == arguments.end() || at + 1 == arguments.end() ? "" : at[1];
}

Status AddBaselines(const std::string& path, std::vector<HistoryPoint>& points) {
  TERN_ASSIGN_OR_RETURN(BaselineStore store, BaselineStore::Open(path));
  TERN_ASSIGN_OR_RETURN(const std::vector<BaselineRun> runs, store.Runs(""));
  for (const BaselineRun& run : runs)
    for (const BaselineResult& result : run.results) {
      if (!result.more_is_better) continue;  // times; the page shows rates
      MeasuredProgram program;
      if (const Status read = ReadParameters(result.parameters, program); !read)
        return Within(path, read.error());
      const std::string model = Argument(program.arguments, {"-m", "--model"}),
                        threads = Argument(program.arguments, {"-t", "--threads"});
      points.push_back(
          {fmt::format(
               "{}, {} threads, {}",
               model.empty() ? "tern-stories" : std::filesystem::path(model).stem().string(),
               threads.empty() ? std::to_string(run.machine.cpus) : threads, result.benchmark),
           run.recorded_at, run.commit, Median(result.Values())});
    }
  return {};
}

Status AddFile(const std::string& path, std::vector<HistoryPoint>& points) {
  TERN_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  if (text.starts_with("SQLite format 3")) return AddBaselines(path, points);
  const Json json = Json::parse(text, nullptr, false);
  const size_t before = points.size();
  if (json.is_array()) AddRows(json, "", "", points);
  if (json.is_object() && json.contains("rows"))
    AddRows(json["rows"], Text(json, "when"), Text(json, "commit"), points);
  if (points.size() > before) return {};
  return Fail(Code::kCorrupt,
              "{}: found no rows with avg_ts, expected a bench.json of a report, rows of tern "
              "bench -o json or a "
              "baseline file of tern perf",
              path);
}

// Lines that aren't points are left out of the plot, but stay in the file.
std::vector<HistoryPoint> PointsIn(const std::string& lines) {
  std::vector<HistoryPoint> points;
  for (size_t begin = 0; begin < lines.size();) {
    const size_t end = std::min(lines.find('\n', begin), lines.size());
    const Json json = Json::parse(lines.substr(begin, end - begin), nullptr, false);
    if (json.is_object() && Number(json, "rate") > 0)
      points.push_back(
          {Text(json, "series"), Text(json, "when"), Text(json, "commit"), Number(json, "rate")});
    begin = end + 1;
  }
  return points;
}

std::string Lines(const std::vector<HistoryPoint>& points) {
  std::string lines;
  for (const HistoryPoint& point : points)
    lines += Json{{"series", point.series},
                  {"when", point.when},
                  {"commit", point.commit},
                  {"rate", point.rate}}
                 .dump(-1, ' ', false, Json::error_handler_t::replace) +
             "\n";
  return lines;
}

std::string PageJson(const BenchPage& page) {
  std::vector<Record> records;
  for (const BenchmarkRow& row : page.rows) records.push_back(row.ToRecord());
  nlohmann::ordered_json json = {{"when", page.when},
                                 {"command", page.command},
                                 {"commit", page.commit},
                                 {"version", page.build.version},
                                 {"compiler", page.build.compiler},
                                 {"flags", page.build.flags},
                                 {"machine", page.machine.Key()}};
  json["rows"] = nlohmann::ordered_json::parse(FormatRecords(records, ReportFormat::kJson, ""));
  return json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

void KeepCommandLine(int argc, char** argv) { CommandWords().assign(argv, argv + argc); }

Result<std::vector<HistoryPoint>> ReadHistory(const std::vector<std::string>& files) {
  std::vector<HistoryPoint> points;
  for (const std::string& file : files) TERN_TRY(AddFile(file, points));
  return points;
}

Status WriteReport(const OutputFolder& folder, BenchPage page) {
  page.when = Now();
  page.command = CommandLine();
  if (const auto program = ResolveProgram("")) page.commit = CommitOf(*program);
  page.build = ThisBuild();
  page.machine = ReadFingerprint();
  std::string history;
  if (std::filesystem::exists(folder.PathOf(kHistoryFile))) {
    TERN_ASSIGN_OR_RETURN(history, ReadFile(folder.PathOf(kHistoryFile)));
  }
  for (HistoryPoint& point : PointsIn(history)) page.history.push_back(std::move(point));
  TERN_TRY(folder.Write("index.html", BenchPageHtml(page)));
  TERN_TRY(folder.Write("bench.json", PageJson(page)));
  TERN_TRY(folder.Write(kHistoryFile, history + Lines(PointsOf(page))));
  PrintNote(fmt::format("{}", folder.PathOf("index.html")));
  return {};
}

}  // namespace tern::cli
