// tern bench: how fast, and how near to what the machine can do.
#include <memory>

#include "bench.h"
#include "command.h"
#include "platform/cpu_set.h"

namespace tern::cli {
namespace {

// What a page wants to show and the user left open.
void Widen(const CLI::App& app, BenchOptions& options) {
  const auto open = [&app](const char* name) { return app.count(name) == 0; };
  if (open("--npl")) options.more_sequences = {2, 4, 8};
  if (open("--n-depth")) options.more_depths = {256, 1024};
  if (!open("--threads")) return;
  for (int threads = 1; threads < UsableCpuCount(); threads *= 2)
    options.more_threads.push_back(threads);
}

Result<int> Bench(const BenchOptions& options) {
  if (TargetPreset(options.targets_file)) return BenchProduct(options);
  if (options.limits) return BenchLimits(options);
  if (options.kernels) return BenchKernels(options);
  if (options.bitlinear) return BenchBitLinear(options);
  if (!options.versus.empty()) return BenchVersus(options);
  return BenchModels(options);
}

template <class T>
CLI::Option* AddList(CLI::App& app, const char* name, std::vector<T>& values, const char* text,
                     const std::string& help) {
  return app.add_option(name, values, help)->option_text(text)->delimiter(',');
}

void AddTests(CLI::App& app, BenchOptions& options) {
  const auto count = CLI::Range(int64_t{0}, int64_t{1} << 20);
  const auto sequences = CLI::Range(int64_t{1}, int64_t{1} << 12);
  AddList(app, "-m,--model", options.models, "MODEL,..",
          "GGUF files or Hugging Face folders (default: the built-in model)");
  AddList(app, "-p,--n-prompt", options.prompts, "N,..",
          "Tokens of the prefill tests; 0: none (default 512)")
      ->check(count);
  AddList(app, "-n,--n-gen", options.generates, "N,..",
          "Tokens of the decode tests; 0: none (default 128)")
      ->check(count);
  AddList(app, "-d,--n-depth", options.depths, "N,..",
          "Tokens in the cache before each test (default 0)")
      ->check(count);
  AddList(app, "--npl", options.sequences, "N,..",
          "Sequences decoded at once; the rate counts all (default 1; -npl works too)")
      ->check(sequences);
  AddList(app, "-t,--threads", options.threads, "N,..",
          "Threads (default: one per CPU; --kernels and --bitlinear: 1)")
      ->check(CLI::Range(1, 1024));
  app.add_option("-r,--repetitions", options.repetitions,
                 "Measured runs of each test (default 5); their logits must be the same bits")
      ->option_text("N")
      ->check(CLI::Range(1, 10000));
  app.add_option("-o,--output", options.output, "md (default), csv, json, jsonl or sql")
      ->option_text("FORMAT")
      ->check(CLI::IsMember({"md", "csv", "json", "jsonl", "sql"}));
  app.add_option(
         "--report", options.report,
         "Also write one page with tables, plots and how to measure it again there; measures "
         "batches, depths and threads too where no option says which")
      ->option_text("DIR");
  AddList(app, "--history", options.history, "FILE,..",
          "Earlier measurements for --report: bench.json of a report, rows of -o json, a baseline "
          "file of tern perf; those of the same folder are known")
      ->needs("--report");
  app.add_flag("--no-limits", options.skip_limits,
               "Don't measure the machine first: no percentages");
}

void AddGpu(CLI::App& app, BenchOptions& options) {
  app.add_option("--nvml", options.nvml,
                 "NVIDIA's management library, for utilisation, power, clocks, temperature, memory "
                 "and energy of the GPU (default: libnvidia-ml.so.1, when a GPU computes)")
      ->option_text("FILE");
}

void AddKinds(CLI::App& app, BenchOptions& options) {
  constexpr const char* kGroup = "Other measurements";
  auto* limits = app.add_flag("--limits", options.limits,
                              "What the machine can do: memory, caches, int8 peaks");
  auto* kernels =
      app.add_flag("--kernels", options.kernels,
                   "Every kernel that this CPU can run, checked against the scalar one");
  auto* shape = AddList(app, "--shape", options.shapes, "MxNxK,..",
                        "Rows, outputs and inputs for --kernels (default: M of 1 to 512, 2560 x "
                        "2560)");
  auto* isa = app.add_option("--isa", options.isa, "Of --kernels only those of this set, e.g. avx2")
                  ->option_text("NAME");
  auto* cold =
      app.add_flag("--cold", options.cold, "--kernels: weights from memory, not from a cache");
  auto* bitlinear = app.add_flag("--bitlinear", options.bitlinear,
                                 "One layer, quantisation included; an operation is one row "
                                 "through the layer");
  auto* batch = AddList(app, "--batch", options.batches, "N,..",
                        "Rows for --bitlinear (default 1,4,8,16,32,64,128)")
                    ->check(CLI::Range(int64_t{1}, int64_t{1} << 14));
  auto* size = app.add_option("--size", options.size,
                              "Layer of --bitlinear: small (768 x 768, default), medium (2560 x "
                              "2560) or large (14336 x 4096)")
                   ->option_text("SIZE")
                   ->check(CLI::IsMember({"small", "medium", "large"}));
  auto* versus = app.add_option("--versus", options.versus,
                                "Another engine's llama-bench: both run in turn, A B A B")
                     ->option_text("PROGRAM");
  auto* versus_model =
      app.add_option("--versus-model", options.versus_model, "Its model (default: ours)")
          ->option_text("FILE");
  for (CLI::Option* kind : {limits, kernels, bitlinear, versus})
    kind->excludes(app.get_option("--report"));
  for (CLI::Option* option :
       {limits, kernels, shape, isa, cold, bitlinear, batch, size, versus, versus_model})
    option->group(kGroup);
  shape->needs(kernels);
  isa->needs(kernels);
  cold->needs(kernels);
  batch->needs(bitlinear);
  size->needs(bitlinear);
  versus_model->needs(versus);
  const std::vector<CLI::Option*> kinds = {limits, kernels, bitlinear, versus};
  for (CLI::Option* a : kinds)
    for (CLI::Option* b : kinds)
      if (a != b) a->excludes(b);
}

void AddTargets(CLI::App& app, BenchOptions& options) {
  constexpr const char* kGroup = "Targets (exit code 3 when one is missed)";
  const auto add = [&](const char* name, auto& value, const char* text, const char* help) {
    return app.add_option(name, value, help)->option_text(text)->group(kGroup);
  };
  add("--target-rate,--target-ops", options.target_rate, "X",
      "Tokens or operations per second that every row has to reach");
  add("--target-p99-ms,--target-latency-ms", options.target_p99_ms, "X",
      "Milliseconds that 99% of the passes of every row have to stay under");
  add("--target-memory-mb", options.target_memory_mb, "X",
      "Megabytes that the process may use (--bitlinear)");
  add("--target-gpu-utilization", options.target_gpu_percent, "X",
      "Percent of the time that the GPU has to be busy in every row")
      ->check(CLI::Range(0.0, 100.0));
  add("--targets", options.targets_file, "FILE",
      "JSON: {\"tg128\": {\"min_rate\": 30, \"max_p99_ms\": 40}}: any field of -o json, \"*\" for "
      "every row. Or \"product\": measures and judges the targets that tern set out with");
}

Action Define(CLI::App& app) {
  auto options = std::make_shared<BenchOptions>();
  AddTests(app, *options);
  AddKinds(app, *options);
  AddGpu(app, *options);
  AddTargets(app, *options);
  AddModelOptions(app, options->model, kModelLayout | kModelBackend);
  return [options, &app] {
    if (!options->report.empty()) Widen(app, *options);
    return Bench(*options);
  };
}

}  // namespace

const Command kBenchCommand = {
    "bench", "How fast, and how near to the machine's limits",
    "  tern bench\n"
    "  tern bench -m model.gguf -p 512 -n 128 -d 0,4096 -npl 1,32 -o json\n"
    "  tern bench -m model.gguf -p 512 -n 64 -r 3 --report report\n"
    "  tern bench --limits\n"
    "  tern bench --kernels --shape 1x2560x2560,512x2560x2560\n"
    "  tern bench --bitlinear --batch 1 --target-ops 300000 --target-latency-ms 1\n"
    "  tern bench --targets product\n"
    "  tern bench --versus ./llama-bench -m 2b4t.gguf -p 512 -n 64 -r 3",
    Define};

}  // namespace tern::cli
