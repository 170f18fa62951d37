// tern synth: a model with random weights, to measure with.
#include <filesystem>
#include <memory>

#include "command.h"
#include "human.h"
#include "model/convert_metadata.h"
#include "model/synth.h"
#include "progress.h"

namespace tern::cli {
namespace {

struct Options {
  std::string preset;
  std::string output;
  std::string embedding = "f16";
  SynthOptions synth;
  bool force = false;
};

std::vector<std::string> PresetNames() {
  std::vector<std::string> names;
  for (const SynthShape& shape : SynthPresets()) names.emplace_back(shape.preset);
  return names;
}

std::vector<std::string> TypeNames() {
  std::vector<std::string> names;
  for (const TernaryTarget& target : TernaryTargets()) names.emplace_back(target.codec);
  return names;
}

Result<int> Synth(Options options) {
  std::error_code ec;
  if (!options.force && std::filesystem::exists(options.output, ec))
    return Fail(Code::kInvalidArgument, "{}: exists already; --force replaces it", options.output);
  options.synth.embedding = ParseDType(options.embedding).value();
  Progress progress("writing " + std::filesystem::path(options.output).filename().string());
  TERN_ASSIGN_OR_RETURN(const uint64_t bytes,
                        Synthesize(*FindSynthPreset(options.preset), options.synth, options.output,
                                   [&](int64_t done, int64_t total, std::string_view name) {
                                     progress.Update(done, total, name);
                                   }));
  progress.Finish();
  fmt::print("{}: {}\n", options.output, HumanBytes(bytes));
  return kExitOk;
}

Action Define(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("--preset", options->preset,
                 fmt::format("Shape: {}", fmt::join(PresetNames(), ", ")))
      ->option_text("NAME")
      ->required()
      ->check(CLI::IsMember(PresetNames()));
  app.add_option("-o,--output", options->output, "The GGUF file to write")
      ->option_text("FILE")
      ->required();
  app.add_option("--type", options->synth.type,
                 fmt::format("Type of the ternary tensors: {} (default i2_s)",
                             fmt::join(TypeNames(), ", ")))
      ->option_text("TYPE")
      ->check(CLI::IsMember(TypeNames()));
  app.add_option(
         "--embedding", options->embedding,
         "Type of the embedding and the output head: f32, f16 (default), bf16, q8_0 or q6_k")
      ->option_text("TYPE")
      ->check(CLI::IsMember({"f32", "f16", "bf16", "q8_0", "q6_k"}));
  app.add_option("--seed", options->synth.seed, "The same seed gives the same bytes (default 1)")
      ->option_text("N");
  app.add_flag("--force", options->force, "Replace FILE when it exists");
  return [options] { return Synth(*options); };
}

}  // namespace

const Command kSynthCommand = {
    "synth", "Write a model with random weights, to measure with",
    "  tern synth --preset 2b4t -o 2b4t.gguf\n"
    "  tern synth --preset 700m --type tq2_0 --embedding q6_k -o 700m.gguf --seed 7",
    Define};

}  // namespace tern::cli
