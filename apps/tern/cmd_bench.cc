// tern bench: tokens per second, in llama-bench's tests and table.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "command.h"
#include "engine/benchmark.h"
#include "interrupt.h"
#include "json_lines.h"
#include "model_options.h"

namespace tern::cli {
namespace {

constexpr int kExitMissed = 3;  // a target was given and not reached

struct Options {
  ModelOptions model;
  BenchmarkOptions bench;
  BenchmarkTargets targets;
  double max_p99_ms = 0;
  std::string output = "md";
};

int64_t Parameters(const WeightSource& source) {
  int64_t count = 0;
  for (const TensorInfo& tensor : source.tensors()) count += tensor.rows() * tensor.cols();
  return count;
}

uint64_t TensorBytes(const WeightSource& source) {
  uint64_t bytes = 0;
  for (const TensorInfo& tensor : source.tensors()) bytes += tensor.bytes;
  return bytes;
}

void PrintRows(const BenchmarkResults& results, const std::string& output) {
  if (output == "md") {
    fmt::print("{}", results.Display());
    return;
  }
  if (output == "csv")
    fmt::print("model,size,params,backend,threads,test,avg_ts,stddev_ts,p50_ms,p95_ms,p99_ms\n");
  for (const BenchmarkRow& row : results.rows) {
    const double p50 = row.Percentile(50) * 1e3, p95 = row.Percentile(95) * 1e3,
                 p99 = row.Percentile(99) * 1e3;
    if (output == "csv") {
      fmt::print("{},{},{},{},{},{},{:.3f},{:.3f},{:.4f},{:.4f},{:.4f}\n", results.model,
                 results.model_bytes, results.parameters, results.backend, results.threads,
                 row.test, row.Mean(), row.Deviation(), p50, p95, p99);
      continue;
    }
    PrintJsonLine({{"model", results.model},
                   {"size", results.model_bytes},
                   {"params", results.parameters},
                   {"backend", results.backend},
                   {"threads", results.threads},
                   {"test", row.test},
                   {"avg_ts", row.Mean()},
                   {"stddev_ts", row.Deviation()},
                   {"samples_ts", row.rates},
                   {"p50_ms", p50},
                   {"p95_ms", p95},
                   {"p99_ms", p99}});
  }
}

Result<int> Bench(Options options) {
  const BenchmarkOptions& bench = options.bench;
  if (bench.prompt == 0 && bench.generate == 0)
    return UsageError("-p and -n are both 0: nothing to measure");
  TERN_ASSIGN_OR_RETURN(
      const auto session,
      OpenSession(
          options.model,
          {.tokenizer = false, .context = bench.depth + std::max(bench.prompt, bench.generate)}));
  CatchInterrupts(OnSecondInterrupt::kExit);
  TERN_ASSIGN_OR_RETURN(std::vector<BenchmarkRow> rows,
                        RunBenchmark(*session, bench, [](const std::string& test, int repetition) {
                          PrintNote(repetition == 0
                                        ? fmt::format("{}: warm-up", test)
                                        : fmt::format("{}: repetition {}", test, repetition));
                          return !Interrupted();
                        }));
  const BenchmarkResults results{std::filesystem::path(session->source().path()).stem().string(),
                                 std::string(session->backend().name()),
                                 TensorBytes(session->source()),
                                 Parameters(session->source()),
                                 session->backend().threads(),
                                 std::move(rows)};
  PrintRows(results, options.output);
  options.targets.max_p99_seconds = options.max_p99_ms / 1e3;
  if (results.MeetsTargets(options.targets)) return kExitOk;
  PrintNote("a target was missed");
  return kExitMissed;
}

Action Define(CLI::App& app) {
  auto options = std::make_shared<Options>();
  const auto count = CLI::Range(int64_t{0}, int64_t{1} << 20);
  app.add_option("-p,--n-prompt", options->bench.prompt,
                 "Tokens of the prefill test; 0: none (default 512)")
      ->option_text("N")
      ->check(count);
  app.add_option("-n,--n-gen", options->bench.generate,
                 "Tokens of the decode test; 0: none (default 128)")
      ->option_text("N")
      ->check(count);
  app.add_option("-d,--n-depth", options->bench.depth,
                 "Tokens in the cache before each test (default 0)")
      ->option_text("N")
      ->check(count);
  app.add_option("-r,--repetitions", options->bench.repetitions,
                 "Measured runs of each test (default 5)")
      ->option_text("N")
      ->check(CLI::Range(1, 10000));
  app.add_option("-o,--output", options->output, "md (default), csv or jsonl")
      ->option_text("FORMAT")
      ->check(CLI::IsMember({"md", "csv", "jsonl"}));
  app.add_option("--target-rate", options->targets.min_rate,
                 "Tokens per second that every test has to reach; exit code 3 when missed")
      ->option_text("X");
  app.add_option(
         "--target-p99-ms", options->max_p99_ms,
         "Milliseconds that 99% of the forward passes have to stay under; exit code 3 when missed")
      ->option_text("X");
  AddModelOptions(app, options->model, kModelName | kModelLayout | kModelCompute);
  return [options] { return Bench(*options); };
}

}  // namespace

const Command kBenchCommand = {"bench", "Tokens per second of prefill and decode",
                               "  tern bench\n"
                               "  tern bench -m model.gguf -p 512 -n 128 -r 10 -o jsonl",
                               Define};

}  // namespace tern::cli
