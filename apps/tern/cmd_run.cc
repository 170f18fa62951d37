// tern run: continues a text.
#include <cstdio>
#include <memory>
#include <optional>

#include "command.h"
#include "interrupt.h"
#include "live_stats.h"
#include "model_options.h"
#include "sampling_options.h"
#include "text_format.h"
#include "text_input.h"

namespace tern::cli {
namespace {

constexpr int64_t kMaxTokens = 128;
constexpr const char* kStoryPrompt = "Once upon a time";
constexpr int64_t kStoryMaxTokens = 400;  // most of the built-in model's stories end before

struct Options {
  ModelOptions model;
  TextInput prompt;
  SamplingOptions sampling;
  TextFormat format;
  bool no_echo = false;
  bool special = false;
  bool stream_stats = false;
};

// An editor's final newline is not meant as part of a prompt that is to be continued.
std::string Trimmed(std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

bool Write(std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
         std::fflush(stdout) == 0;
}

Result<int> Continue(const Options& options, const std::string& prompt,
                     const GenerationOptions& generation) {
  TERN_ASSIGN_OR_RETURN(const auto session, OpenSession(options.model, {}));
  const Tokenizer& tokenizer = *session->tokenizer();
  const std::vector<TokenId> ids = tokenizer.Encode(
      prompt, {.add_bos = tokenizer.spec().add_bos, .parse_special = options.special});
  CatchInterrupts(OnSecondInterrupt::kExit);
  if (!options.no_echo) Write(prompt);
  std::optional<LiveStats> live;
  if (options.stream_stats) live.emplace(ids.size());
  MeteredExecutor executor(session->decoder(), [&live](int64_t rows) {
    if (live) live->Forwarded(rows);
  });
  Generator generator(executor, session->cache(), tokenizer, session->model().config.vocab,
                      session->context());
  const auto result = generator.Generate(ids, generation, Write, &Interrupted());
  live.reset();
  if (!result) return Within("prompt", result.error());
  Write("\n");
  fmt::print(stderr, "\n{}\nended by {}; --seed {}\n", DescribeSpeed(result->stats),
             FinishReasonName(result->finish), generation.sampling.seed);
  return result->finish == FinishReason::kCancelled ? kExitInterrupted : kExitOk;
}

Result<int> Run(const Options& options) {
  const bool builtin = options.model.model.empty();
  TERN_ASSIGN_OR_RETURN(const auto given, ReadTextInput(options.prompt));
  if (!given && !builtin) return UsageError("no prompt: give one with -p, -f or -");
  const bool typed = !options.prompt.text_option->empty();
  const std::string prompt = !given ? kStoryPrompt : typed ? given->text : Trimmed(given->text);
  if (prompt.empty())
    return Fail(Code::kInvalidArgument, "{}: found an empty text, expected something to continue",
                given->name);
  GenerationOptions generation =
      ToGenerationOptions(options.sampling, given ? kMaxTokens : kStoryMaxTokens);
  generation.special = options.special;
  TERN_ASSIGN_OR_RETURN(const NamedGrammar form, ReadTextFormat(options.format));
  generation.grammar = form.grammar;
  if (const Status legal = CheckSampling(generation.sampling); !legal)
    return UsageError("{}", legal.error().message);
  return Continue(options, prompt, generation);
}

Action Define(CLI::App& app) {
  auto options = std::make_shared<Options>();
  AddTextInput(app, options->prompt, "prompt");
  app.add_flag("--no-echo", options->no_echo, "Print only what the model writes");
  app.add_flag("--special", options->special,
               "Special tokens: those in the prompt become their ids, those of the answer are "
               "written out; else the prompt is plain text");
  app.add_flag("--stream-stats", options->stream_stats, "Show tokens per second while it writes");
  AddSamplingOptions(app, options->sampling, kMaxTokens);
  AddTextFormat(app, options->format);
  AddModelOptions(app, options->model,
                  kModelName | kModelLayout | kModelTokenizer | kModelContext | kModelCompute);
  return [options] { return Run(*options); };
}

}  // namespace

const Command kRunCommand = {
    "run", "Continue a text",
    "  tern run\n"
    "  tern run -p \"The dog and the cat\" -n 200 --seed 7\n"
    "  tern run -m model.gguf -f prompt.txt --temp 0\n"
    "  tern run -m model.gguf -p \"A cat as JSON: \" --json-schema cat.json",
    Define};

}  // namespace tern::cli
