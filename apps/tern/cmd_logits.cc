// tern logits: the model's raw answer to token ids, for comparing implementations.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "command.h"
#include "formats/hf_json.h"
#include "interrupt.h"
#include "model_options.h"
#include "progress.h"
#include "text_input.h"
#include "token_ids.h"

namespace tern::cli {
namespace {

// Rows of one forward pass: 33 MB of logits for a vocabulary of 128256.
constexpr int64_t kRows = 64;

struct Options {
  ModelOptions model;
  std::string ids, ids_file, output;
};

using Prompts = std::vector<std::vector<TokenId>>;

Result<Prompts> PromptsOfJson(const nlohmann::json& document, const std::string& file) {
  const nlohmann::json* list = &document;
  if (document.is_object()) {
    const auto prompts = document.find("prompts");
    if (prompts == document.end())
      return Fail(Code::kInvalidArgument, "{}: field 'prompts': found nothing, expected an array",
                  file);
    list = &*prompts;
  }
  Prompts prompts;
  if (!list->is_array() || list->empty() || !list->front().is_array()) {
    TERN_ASSIGN_OR_RETURN(auto ids, IdsOfJson(*list, file));
    prompts.push_back(std::move(ids));
    return prompts;
  }
  for (const nlohmann::json& entry : *list) {
    TERN_ASSIGN_OR_RETURN(auto ids,
                          IdsOfJson(entry, fmt::format("{}: prompt {}", file, prompts.size())));
    prompts.push_back(std::move(ids));
  }
  return prompts;
}

Result<Prompts> ReadPrompts(const Options& options) {
  if (!options.ids_file.empty()) {
    TERN_ASSIGN_OR_RETURN(const std::string text, ReadFileOrStdin(options.ids_file));
    TERN_ASSIGN_OR_RETURN(const nlohmann::json document, ParseJson(text, options.ids_file));
    return PromptsOfJson(document, options.ids_file);
  }
  TERN_ASSIGN_OR_RETURN(auto ids, ParseIds(options.ids));
  return Prompts{std::move(ids)};
}

// kInvalidArgument for prompts that the model can't take; returns the length of the longest.
Result<int64_t> CheckPrompts(const Prompts& prompts) {
  size_t longest = 0;
  for (size_t i = 0; i < prompts.size(); ++i) {
    if (prompts[i].empty())
      return Fail(Code::kInvalidArgument, "prompt {}: found no ids, expected at least one", i);
    longest = std::max(longest, prompts[i].size());
  }
  return static_cast<int64_t>(longest);
}

class Output {
 public:
  static Result<Output> Open(const std::string& path) {
    Output output(path);
    if (path != "-") output.file_.reset(std::fopen(path.c_str(), "wb"));
    if (path != "-" && !output.file_) return output.Failure();
    return output;
  }
  Status Write(FloatView rows) {
    const auto count = static_cast<size_t>(rows.cols);
    for (int64_t r = 0; r < rows.rows; ++r)
      if (std::fwrite(rows.Row(r), sizeof(float), count, Stream()) != count) return Failure();
    return {};
  }
  Status Close() {
    if (std::fflush(Stream()) != 0) return Failure();
    return {};
  }

 private:
  explicit Output(std::string path) : path_(std::move(path)) {}
  std::FILE* Stream() { return file_ ? file_.get() : stdout; }
  tl::unexpected<Error> Failure() const {
    return Fail(Code::kResourceExhausted, "{}: can't be written: {}",
                path_ == "-" ? "standard output" : path_, std::strerror(errno));
  }

  std::string path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_{nullptr, std::fclose};
};

// One prompt from position 0 on, in chunks.
Status RunPrompt(Session& session, const std::vector<TokenId>& ids, Output& output) {
  const std::vector<BlockId> table = IdentityTable(std::ssize(ids));
  for (size_t at = 0; at < ids.size(); at += kRows) {
    const auto part = std::span(ids).subspan(at, std::min<size_t>(ids.size() - at, kRows));
    const SequenceRows rows(part, static_cast<int64_t>(at), table);
    TERN_ASSIGN_OR_RETURN(const FloatView logits,
                          session.decoder().Forward(rows.WantingAll(), session.cache()));
    TERN_TRY(output.Write(logits));
    if (Interrupted()) return Fail(Code::kCancelled, "stopped; the output is not complete");
  }
  return {};
}

Result<int> Logits(const Options& options) {
  if (options.ids.empty() == options.ids_file.empty())
    return UsageError("give the ids with either --ids or --ids-file");
  TERN_ASSIGN_OR_RETURN(const Prompts prompts, ReadPrompts(options));
  TERN_ASSIGN_OR_RETURN(const int64_t longest, CheckPrompts(prompts));
  TERN_ASSIGN_OR_RETURN(const auto session, OpenSession(options.model, {.tokenizer = false,
                                                                        .context = longest,
                                                                        .max_rows = kRows,
                                                                        .logit_rows = kRows}));
  const ModelConfig& config = session->model().config;
  if (longest > config.context)
    return Fail(Code::kInvalidArgument, "a prompt has {} ids, the model's context holds {}",
                longest, config.context);
  for (size_t i = 0; i < prompts.size(); ++i)
    TERN_TRY(CheckIds(fmt::format("prompt {}", i), prompts[i], config.vocab));
  TERN_ASSIGN_OR_RETURN(Output output, Output::Open(options.output));
  CatchInterrupts(OnSecondInterrupt::kExit);
  Progress progress("logits");
  int64_t rows = 0;
  for (size_t i = 0; i < prompts.size(); ++i) {
    TERN_TRY(RunPrompt(*session, prompts[i], output));
    rows += static_cast<int64_t>(prompts[i].size());
    progress.Update(static_cast<int64_t>(i + 1), static_cast<int64_t>(prompts.size()), "prompts");
  }
  progress.Finish();
  TERN_TRY(output.Close());
  PrintNote(fmt::format("wrote {} rows of {} float32 values, {} activations", rows, config.vocab,
                        session->activations() == ActivationType::kInt8 ? "int8" : "float"));
  return kExitOk;
}

Action Define(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("--ids", options->ids, "Token ids of one prompt, e.g. 1,2,3")->option_text("LIST");
  app.add_option("--ids-file", options->ids_file,
                 "JSON: an array of ids, an array of such arrays (each starts afresh), or an "
                 "object that holds one as \"prompts\"")
      ->option_text("FILE");
  app.add_option("-o,--output", options->output,
                 "Where to write float32 little-endian rows of vocabulary size, one for each "
                 "position, prompt after prompt; -: standard output")
      ->option_text("FILE")
      ->required();
  AddModelOptions(app, options->model, kModelName | kModelLayout | kModelCompute);
  return [options] { return Logits(*options); };
}

}  // namespace

const Command kLogitsCommand = {
    "logits", "Write the logits of every position of a prompt",
    "  tern logits -m model.gguf --ids 1,15043,29871 -o logits.f32\n"
    "  tern logits -m folder --ids-file prompts.json --activations float -o logits.f32",
    Define};

}  // namespace tern::cli
