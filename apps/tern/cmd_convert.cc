// tern convert: writes a model as a GGUF file.
#include <filesystem>
#include <memory>
#include <optional>

#include "command.h"
#include "human.h"
#include "model/convert.h"
#include "model_options.h"
#include "progress.h"

namespace tern::cli {
namespace {

struct Options {
  ModelOptions model;
  std::string output;
  std::string type;
  std::string embedding;
  bool force = false;
};

// Nothing when the source has no tokenizer: the file is then written without one.
Result<std::optional<TokenizerSpec>> ReadTokenizer(const WeightSource& source,
                                                   const ModelOptions& options) {
  auto spec = ReadTokenizerSpec(source, ToTokenizerOptions(options));
  if (spec) return std::optional(std::move(*spec));
  if (spec.error().code != Code::kNotFound) return tl::unexpected(spec.error());
  PrintNote(fmt::format("{}; the file will have none, only tern logits can run it",
                        spec.error().message));
  return std::optional<TokenizerSpec>();
}

void Print(const ConvertSummary& summary, const std::string& output) {
  fmt::print("{}: {}\n", output, HumanBytes(summary.file_bytes));
  for (const ConvertSummary::Kind& kind : summary.kinds)
    fmt::print("  {:<6} {:>5} tensors {:>10}\n", kind.type, kind.tensors, HumanBytes(kind.bytes));
  if (summary.max_scale_error > 0)
    fmt::print("  scales were rounded by up to {:.1e} of their size ({})\n",
               summary.max_scale_error, summary.worst_tensor);
  else
    fmt::print("  every scale is exact\n");
  for (const std::string& note : summary.notes) fmt::print("  {}\n", note);
}

Result<int> ConvertModel(const Options& options) {
  std::error_code ec;
  if (!options.force && std::filesystem::exists(options.output, ec))
    return Fail(Code::kInvalidArgument, "{}: exists already; --force replaces it", options.output);
  TERN_ASSIGN_OR_RETURN(const auto source,
                        OpenWeights(options.model.model, ToSourceOptions(options.model)));
  TERN_ASSIGN_OR_RETURN(const auto tokenizer, ReadTokenizer(*source, options.model));
  ConvertOptions convert;
  convert.type = options.type;
  if (!options.embedding.empty()) convert.embedding = ParseDType(options.embedding);
  Progress progress("converting");
  TERN_ASSIGN_OR_RETURN(const ConvertSummary summary,
                        Convert(*source, tokenizer ? &*tokenizer : nullptr, convert, options.output,
                                [&](int64_t done, int64_t total, std::string_view name) {
                                  progress.Update(done, total, name);
                                }));
  progress.Finish();
  Print(summary, options.output);
  return kExitOk;
}

Action Define(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("IN", options->model.model, "GGUF file or Hugging Face folder")->required();
  app.add_option("OUT", options->output, "The GGUF file to write")->required();
  app.add_option("--type", options->type,
                 "Type of the ternary tensors: i2_s, tq1_0, tq2_0 or q2_0 (default: i2_s where a "
                 "tensor has one scale, else q2_0)")
      ->option_text("TYPE")
      ->check(CLI::IsMember({"i2_s", "tq1_0", "tq2_0", "q2_0"}));
  app.add_option("--embedding", options->embedding,
                 "Type of the embedding and the output head: f32, f16, bf16, q8_0 or q6_k "
                 "(default: as they are)")
      ->option_text("TYPE")
      ->check(CLI::IsMember({"f32", "f16", "bf16", "q8_0", "q6_k"}));
  app.add_flag("--force", options->force, "Replace OUT when it exists");
  AddModelOptions(app, options->model, kModelLayout | kModelTokenizer);
  return [options] { return ConvertModel(*options); };
}

}  // namespace

const Command kConvertCommand = {
    "convert", "Write a model as a GGUF file",
    "  tern convert bitnet-b1.58-2B-4T model.gguf --type i2_s --embedding f16\n"
    "  tern convert model-i2_s.gguf model-tq1_0.gguf --type tq1_0",
    Define};

}  // namespace tern::cli
