// The options that decide how tokens are chosen, shared by run and chat.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/generator.h"

namespace tern::cli {

struct SamplingOptions {
  SamplingParams params;  // its seed counts only once Resolve has set it
  std::optional<uint64_t> seed;
  std::optional<int64_t> max_tokens;
  std::vector<std::string> stop;
  bool ignore_eos = false;
};

/// max_tokens_default: shown in the help.
void AddSamplingOptions(CLI::App& app, SamplingOptions& options, int64_t max_tokens_default);

/// The options as the generator takes them; without --seed a seed is drawn.
GenerationOptions ToGenerationOptions(const SamplingOptions& options, int64_t max_tokens_default);

/// "prefill 5 tokens, 210.3 tokens/s; decode 128 tokens, 84.0 tokens/s"
std::string DescribeSpeed(const GenerationStats& stats);

}  // namespace tern::cli
