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
  std::string kl_base;
  bool json = false;
};

constexpr const char* kNativeHead = "native";

nlohmann::ordered_json ToJson(const PerplexityResult& result, int64_t window) {
  return {{"perplexity", result.Perplexity()},
          {"bits_per_byte", result.BitsPerByte()},
          {"tokens", result.tokens},
          {"bytes", result.bytes},
          {"window", window}};
}

void Print(const PerplexityResult& result) {
  fmt::print("perplexity     {:.4f}\nbits per byte  {:.4f}\ntokens         {}\nbytes          {}\n",
             result.Perplexity(), result.BitsPerByte(), result.tokens, result.bytes);
}

void Print(const DivergenceResult& result) {
  Print(result.model);
  fmt::print(
      "base           {:.4f}\nKL divergence  {:.3g} nats, at most {:.3g}\nsame top token {:.3f}%\n",
      result.base.Perplexity(), result.MeanKl(), result.largest_kl, 100 * result.SameTopShare());
}

Result<std::unique_ptr<Session>> Open(const ModelOptions& model) {
  return OpenSession(model, {.context = model.context > 0 ? model.context : kWindow,
                             .max_rows = kRows,
                             .logit_rows = kRows});
}

int64_t Window(const Options& options, const Session& session) {
  if (options.model.context > 0) return options.model.context;
  return std::min(kWindow, session.model().config.context);
}

Result<int> PerplexityAlone(const Options& options, std::string_view text) {
  TERN_ASSIGN_OR_RETURN(const auto session, Open(options.model));
  const int64_t window = Window(options, *session);
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
  if (options.json)
    PrintJsonLine(ToJson(*result, window));
  else
    Print(*result);
  return kExitOk;
}

Result<int> AgainstBase(const Options& options, std::string_view text) {
  ModelOptions base_options = options.model;
  base_options.head = kNativeHead;
  if (options.kl_base != kNativeHead) base_options.model = options.kl_base;
  TERN_ASSIGN_OR_RETURN(const auto base, Open(base_options));
  TERN_ASSIGN_OR_RETURN(const auto session, Open(options.model));
  const DocumentStream stream = ReadDocuments(text, *session->tokenizer());
  if (ReadDocuments(text, *base->tokenizer()).ids != stream.ids)
    return tern::Fail(Code::kInvalidArgument,
                      "{}: the base's tokenizer makes other tokens of it than the model's",
                      options.file);
  const int64_t window = std::min(Window(options, *base), Window(options, *session));
  CatchInterrupts(OnSecondInterrupt::kExit);
  Progress progress("divergence");
  const auto result = MeasureDivergence(
      {base->decoder(), base->cache()}, {session->decoder(), session->cache()}, stream,
      {.window = window}, [&](int64_t done, int64_t total, const DivergenceResult& so_far) {
        progress.Update(
            done, total,
            fmt::format("{} of {} tokens, KL divergence {:.3g}", done, total, so_far.MeanKl()));
        return !Interrupted();
      });
  progress.Finish();
  if (!result) return Within(options.file, result.error());
  if (!options.json) {
    Print(*result);
    return kExitOk;
  }
  auto line = ToJson(result->model, window);
  line["base_perplexity"] = result->base.Perplexity();
  line["kl"] = result->MeanKl();
  line["largest_kl"] = result->largest_kl;
  line["same_top"] = result->SameTopShare();
  PrintJsonLine(line);
  return kExitOk;
}

Result<int> Perplexity(const Options& options) {
  TERN_ASSIGN_OR_RETURN(const std::string text, ReadFileOrStdin(options.file));
  TERN_TRY(CheckUtf8(options.file, text));
  return options.kl_base.empty() ? PerplexityAlone(options, text) : AgainstBase(options, text);
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
  app.add_option(
         "--kl-base", options->kl_base,
         "Also the Kullback-Leibler divergence from a base, and how often both have the same "
         "most likely token. The base: another model, or native, this one with its native "
         "head")
      ->option_text("MODEL");
  app.add_flag("--json", options->json, "Print the result as a line of JSON");
  AddModelOptions(app, options->model, kModelName | kModelLayout | kModelTokenizer | kModelCompute);
  return [options] { return Perplexity(*options); };
}

}  // namespace

const Command kPerplexityCommand = {
    "perplexity", "How well a model predicts a text",
    "  tern perplexity -f story.txt\n"
    "  tern perplexity -m model.gguf -f wiki.txt --ctx 2048 --json\n"
    "  tern perplexity -f story.txt --head q8 --kl-base native",
    Define};

}  // namespace tern::cli
