// tern batch: a file of prompts in, a file of answers out, in as many runs as it takes.
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>

#include "batch_run.h"
#include "command.h"
#include "formats/digest.h"
#include "interrupt.h"
#include "model_options.h"
#include "sampling_options.h"
#include "text_format.h"

namespace tern::cli {
namespace {

constexpr int64_t kMaxTokens = 128;
constexpr int64_t kMaxWorkers = 256;

struct Options {
  ModelOptions model;
  SamplingOptions sampling;
  TextFormat format;
  std::string input, output;
  std::string mode = "sequential";
  int64_t workers = 8;
  bool chat = false;
};

const std::map<std::string, StreamingMode> kModes = {{"sequential", StreamingMode::kSequential},
                                                     {"parallel", StreamingMode::kParallel},
                                                     {"timed", StreamingMode::kTimed}};

StreamingConfig ToStreaming(const Options& options) {
  StreamingConfig config = StreamingConfig::HighThroughput();
  config.mode = kModes.at(options.mode);
  // As many wait as are answered: the engine always has a next one.
  config.capacity = 2 * static_cast<size_t>(options.workers);
  return config;
}

/// Of everything besides the lines that shapes the answers.
uint64_t SettingsDigest(const Options& options, const GenerationOptions& g,
                        const std::string& grammar, const Engine& engine) {
  const ModelOptions& m = options.model;
  const ModelConfig& config = engine.model().config;
  uint64_t bytes = 0;
  for (const TensorInfo& tensor : engine.source().tensors()) bytes += tensor.bytes;
  const std::string model = fmt::format(
      "{}|{}|{}|{}|{}|{}", std::filesystem::path(engine.source().path()).filename().string(),
      config.name, config.architecture, config.layers, config.vocab, bytes);
  const std::string compute = fmt::format("{}|{}|{}|{}|{}|{}", m.i2s_layout, m.pre, m.activations,
                                          m.kv, m.head, engine.context());
  const SamplingParams& p = g.sampling;
  const std::string sampling =
      fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}", p.temperature, p.top_k, p.top_p, p.min_p,
                  p.repeat_penalty, p.presence_penalty, p.frequency_penalty, p.repeat_last_n,
                  p.seed, g.max_tokens, g.ignore_eos);
  std::string all = fmt::format("{}\n{}\n{}\n{}", model, compute, sampling, options.chat);
  for (const std::string& stop : g.stop) all += fmt::format("\n{}:{}", stop.size(), stop);
  if (!grammar.empty()) all += "\ngrammar:" + grammar;
  return Digest(all);
}

void PrintSummary(const Options& options, const BatchCounts& counts, const EngineStats& stats,
                  double seconds) {
  std::string text = fmt::format("{}: {} of {} lines have an answer", options.output,
                                 counts.before + counts.answered, counts.total);
  if (counts.before > 0) text += fmt::format(", {} of them from before", counts.before);
  const auto tokens = static_cast<double>(stats.generated_tokens);
  PrintNote(fmt::format("{}; {} tokens in {:.1f} s, {:.1f} tokens/s", text, stats.generated_tokens,
                        seconds, seconds > 0 ? tokens / seconds : 0));
}

Result<int> Batch(const Options& options) {
  SamplingOptions sampling = options.sampling;
  if (!sampling.seed) sampling.seed = 0;  // a run that goes on has to know it
  GenerationOptions generation = ToGenerationOptions(sampling, kMaxTokens);
  if (const Status legal = CheckSampling(generation.sampling); !legal)
    return UsageError("{}", legal.error().message);
  TERN_ASSIGN_OR_RETURN(const NamedGrammar form, ReadTextFormat(options.format));
  generation.grammar = form.grammar;
  TERN_ASSIGN_OR_RETURN(PromptFile prompts, PromptFile::Open(options.input, generation));
  EngineOptions engine_options;
  engine_options.max_sequences = options.workers;
  TERN_ASSIGN_OR_RETURN(const auto engine, OpenEngine(options.model, engine_options));
  TERN_ASSIGN_OR_RETURN(
      const auto results,
      ResultFile::Open(options.output, SettingsDigest(options, generation, form.source, *engine)));
  TERN_ASSIGN_OR_RETURN(const int64_t total, results->CheckAgainst(prompts, options.input));
  if (results->cut_bytes() > 0)
    PrintNote(fmt::format("{}: cut {} bytes of a line that an earlier run did not finish",
                          options.output, results->cut_bytes()));
  const StreamingConfig streaming = ToStreaming(options);
  if (streaming.mode == StreamingMode::kTimed) results->set_sync_every(streaming.latency);
  CatchInterrupts(OnSecondInterrupt::kExit);
  const auto start = std::chrono::steady_clock::now();
  BatchRun run(*engine, prompts, *results, {.streaming = streaming, .chat = options.chat}, total);
  const Status done = run.Run();
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  PrintSummary(options, run.counts(), engine->Stats(), time.count());
  if (!done && done.error().code == Code::kCancelled) {
    PrintNote("interrupted; the same command goes on from here");
    return kExitInterrupted;
  }
  TERN_TRY(done);
  if (results->errors() == 0) return kExitOk;
  return Fail(Code::kInvalidArgument, "{}: {} of {} lines have an error instead of an answer",
              options.output, results->errors(), total);
}

Action Define(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option(
         "--input", options->input,
         "Prompts: .txt, one a line; .csv with a column prompt, perhaps id; .jsonl, objects "
         "with prompt or messages, perhaps id, max_tokens, temperature, seed, stop, grammar, "
         "json_schema, ...")
      ->option_text("FILE")
      ->required();
  app.add_option(
         "--output", options->output,
         "Answers: .jsonl or .csv. A file that is there is gone on with: lines that have an "
         "answer are passed over")
      ->option_text("FILE")
      ->required();
  app.add_option(
         "--mode", options->mode,
         "sequential: answers in the order of the prompts (default); parallel: as they end; "
         "timed: as they end, on the disk every 50 ms. The answers are the same")
      ->option_text("MODE")
      ->check(CLI::IsMember({"sequential", "parallel", "timed"}));
  app.add_option("--workers", options->workers, "Prompts answered at once (default 8)")
      ->option_text("N")
      ->check(CLI::Range(int64_t{1}, kMaxWorkers));
  app.add_flag("--chat", options->chat,
               "Prompts are messages to the model in its chat format, not texts to continue");
  AddSamplingOptions(app, options->sampling, kMaxTokens);
  app.get_option("--seed")->description("Line i of the prompts draws with N + i (default 0)");
  AddTextFormat(app, options->format);
  AddModelOptions(app, options->model,
                  kModelName | kModelLayout | kModelTokenizer | kModelContext | kModelCompute);
  return [options] { return Batch(*options); };
}

}  // namespace

const Command kBatchCommand = {"batch",
                               "Answer a file of prompts; can be stopped, and goes on where it was",
                               "  tern batch --input prompts.txt --output answers.jsonl\n"
                               "  tern batch -m model.gguf --input prompts.csv --output "
                               "answers.csv --mode parallel --workers 32",
                               Define};

}  // namespace tern::cli
