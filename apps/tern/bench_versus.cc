// tern bench --versus: two engines in turn on one machine, so that what disturbs one disturbs both.
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "bench.h"
#include "child_process.h"
#include "command.h"
#include "engine/benchmark.h"
#include "formats/hf_json.h"
#include "interrupt.h"
#include "perf/statistics.h"

namespace tern::cli {
namespace {

struct Contest {
  BenchmarkTest test;
  std::vector<double> ours, theirs, ratios;  // one of each a round
};

std::vector<Contest> ContestsOf(const BenchOptions& options) {
  std::vector<Contest> contests;
  const int64_t depth = options.depths.front();
  for (const int64_t prompt : options.prompts)
    if (prompt > 0) contests.push_back({{.prompt = prompt, .depth = depth}, {}, {}, {}});
  for (const int64_t generate : options.generates)
    if (generate > 0) contests.push_back({{.generate = generate, .depth = depth}, {}, {}, {}});
  return contests;
}

/// Options that every llama-bench of the family knows; one test a run, so that each has a turn.
std::vector<std::string> CommandOf(const BenchOptions& options, const BenchmarkTest& test,
                                   const std::string& model, int threads) {
  std::vector<std::string> command = {options.versus,
                                      "-m",
                                      model,
                                      "-p",
                                      std::to_string(test.prompt),
                                      "-n",
                                      std::to_string(test.generate),
                                      "-t",
                                      std::to_string(threads),
                                      "-r",
                                      "1",
                                      "-o",
                                      "json"};
  if (test.depth > 0) command.insert(command.end(), {"-d", std::to_string(test.depth)});
  return command;
}

/// avg_ts of the only row of its JSON.
Result<double> TheirRate(const std::vector<std::string>& command) {
  TERN_ASSIGN_OR_RETURN(const std::string text, RunAndRead(command));
  const std::string where = command.front() + ": its output";
  TERN_ASSIGN_OR_RETURN(const nlohmann::json rows, ParseJson(text, where));
  if (!rows.is_array() || rows.size() != 1 || !rows[0].is_object() || !rows[0].contains("avg_ts") ||
      !rows[0]["avg_ts"].is_number())
    return Fail(Code::kCorrupt, "{}: expected a JSON array of one row with avg_ts", where);
  const auto rate = rows[0]["avg_ts"].get<double>();
  if (!(rate > 0)) return Fail(Code::kCorrupt, "{}: found a rate of {}", where, rate);
  return rate;
}

Record ToRecord(const Contest& contest, const BenchOptions& options, int threads) {
  const Spread ratio = SpreadOf(contest.ratios);
  return {contest.test.Name(),
          Median(contest.ours),
          {{"test", contest.test.Name()},
           {"n_threads", int64_t{threads}},
           {"versus", options.versus},
           {"ours_ts", Median(contest.ours)},
           {"theirs_ts", Median(contest.theirs)},
           {"ratio", ratio.median},
           {"ratio_min", ratio.min},
           {"ratio_max", ratio.max},
           {"ours_samples_ts", contest.ours},
           {"theirs_samples_ts", contest.theirs}}};
}

void PrintTable(const std::vector<Record>& records) {
  fmt::print(
      "| test | threads | ours t/s | theirs t/s | ratio | min .. max |\n"
      "| --- | ---: | ---: | ---: | ---: | ---: |\n");
  for (const Record& record : records) {
    const auto number = [&](std::string_view field) {
      return std::get<double>(*record.Find(field));
    };
    fmt::print("| {} | {} | {:.2f} | {:.2f} | {:.2f} | {:.2f} .. {:.2f} |\n", record.name,
               std::get<int64_t>(*record.Find("n_threads")), number("ours_ts"), number("theirs_ts"),
               number("ratio"), number("ratio_min"), number("ratio_max"));
  }
}

Status RunRound(Session& session, const BenchOptions& options, const std::string& their_model,
                int round, Contest& contest) {
  const BenchmarkTest& test = contest.test;
  PrintNote(fmt::format("{}: round {} of {}", test.Name(), round + 1, options.repetitions));
  TERN_ASSIGN_OR_RETURN(const BenchmarkRow row, RunBenchmark(session, test, {}, {.repetitions = 1},
                                                             [](int) { return !Interrupted(); }));
  TERN_ASSIGN_OR_RETURN(const double theirs, TheirRate(CommandOf(options, test, their_model,
                                                                 session.backend().threads())));
  contest.ours.push_back(row.Rate());
  contest.theirs.push_back(theirs);
  contest.ratios.push_back(row.Rate() / theirs);
  return {};
}

}  // namespace

Result<int> BenchVersus(const BenchOptions& options) {
  if (options.models.size() > 1 || options.depths.size() > 1 || options.threads.size() > 1)
    return UsageError("--versus takes one -m, one -d and one -t");
  std::vector<Contest> contests = ContestsOf(options);
  if (contests.empty()) return UsageError("-p and -n are all 0: nothing to measure");
  TERN_ASSIGN_OR_RETURN(const std::vector<Target> targets, ReadTargets(options));
  ModelOptions model = options.model;
  if (!options.models.empty()) model.model = options.models.front();
  if (!options.threads.empty()) model.threads = options.threads.front();
  int64_t context = 0;
  for (const Contest& contest : contests) context = std::max(context, contest.test.positions());
  TERN_ASSIGN_OR_RETURN(const auto session,
                        OpenSession(model, {.tokenizer = false, .context = context}));
  CatchInterrupts(OnSecondInterrupt::kExit);
  const std::string their_model =
      options.versus_model.empty() ? session->source().path() : options.versus_model;
  for (int round = 0; round < options.repetitions; ++round)
    for (Contest& contest : contests)
      TERN_TRY(RunRound(*session, options, their_model, round, contest));
  std::vector<Record> records;
  for (const Contest& contest : contests)
    records.push_back(ToRecord(contest, options, session->backend().threads()));
  if (options.output == "md") PrintTable(records);
  PrintRecords(records, options, "tern_versus");
  return Verdict(records, targets);
}

}  // namespace tern::cli
