// tern perplexity: how well a model predicts a text.
#include <memory>
#include <nlohmann/json.hpp>

#include "command.h"
#include "engine/perplexity.h"
#include "interrupt.h"
#include "json_lines.h"
#include "model_options.h"
#include "progress.h"
#include "text_input.h"

namespace tern::cli {
namespace {

// Each row holds the logits of the whole vocabulary: enough rows to keep the threads busy.
constexpr int64_t kRows = 128;
constexpr int64_t kWindow = 512;

struct Options {
  ModelOptions model;
  std::string file;
  bool json = false;
};

void Print(const PerplexityResult& result, int64_t window, bool json) {
  if (json) {
    PrintJsonLine({{"perplexity", result.Perplexity()},
                   {"bits_per_byte", result.BitsPerByte()},
                   {"tokens", result.tokens},
                   {"bytes", result.bytes},
                   {"window", window}});
    return;
  }
  fmt::print("perplexity     {:.4f}\nbits per byte  {:.4f}\ntokens         {}\nbytes          {}\n",
             result.Perplexity(), result.BitsPerByte(), result.tokens, result.bytes);
}

Result<int> Perplexity(const Options& options) {
  TERN_ASSIGN_OR_RETURN(const std::string text, ReadFileOrStdin(options.file));
  TERN_TRY(CheckUtf8(options.file, text));
  const int64_t asked = options.model.context;
  TERN_ASSIGN_OR_RETURN(const auto session,
                        OpenSession(options.model, {.context = asked > 0 ? asked : kWindow,
                                                    .max_rows = kRows,
                                                    .logit_rows = kRows}));
  const int64_t window = asked > 0 ? asked : std::min(kWindow, session->model().config.context);
  const DocumentStream stream = ReadDocuments(text, *session->tokenizer());
  CatchInterrupts(OnSecondInterrupt::kExit);
  Progress progress("perplexity");
  const auto result = MeasurePerplexity(
      session->decoder(), session->cache(), stream, {.window = window},
      [&](int64_t done, int64_t total, const PerplexityResult& so_far) {
        progress.Update(
            done, total,
            fmt::format("{} of {} tokens, perplexity {:.4f}", done, total, so_far.Perplexity()));
        return !Interrupted();
      });
  progress.Finish();
  if (!result) return Within(options.file, result.error());
  Print(*result, window, options.json);
  return kExitOk;
}

Action Define(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("-f,--file", options->file,
                 "The text, UTF-8; -: standard input. Lines that hold nothing but the model's "
                 "end-of-text token separate documents")
      ->option_text("FILE")
      ->required();
  app.add_option("--ctx", options->model.context,
                 "Tokens of a window; each token is predicted from its window alone (default: 512, "
                 "or what the model's context holds)")
      ->option_text("N")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));
  app.add_flag("--json", options->json, "Print the result as a line of JSON");
  AddModelOptions(app, options->model, kModelName | kModelLayout | kModelTokenizer | kModelCompute);
  return [options] { return Perplexity(*options); };
}

}  // namespace

const Command kPerplexityCommand = {"perplexity", "How well a model predicts a text",
                                    "  tern perplexity -f story.txt\n"
                                    "  tern perplexity -m model.gguf -f wiki.txt --ctx 2048 --json",
                                    Define};

}  // namespace tern::cli
