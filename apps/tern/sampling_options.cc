#include "sampling_options.h"

#include <random>

namespace tern::cli {
namespace {

constexpr const char* kGroup = "Sampling";

uint64_t RandomSeed() {
  std::random_device device;
  return device();  // 32 bits: short enough to be typed again
}

}  // namespace

void AddSamplingOptions(CLI::App& app, SamplingOptions& options, int64_t max_tokens_default) {
  SamplingParams& p = options.params;
  const auto add = [&](const char* name, auto& value, const char* text, const std::string& help) {
    return app.add_option(name, value, help)->option_text(text)->group(kGroup);
  };
  add("-n,--max-tokens", options.max_tokens, "N",
      fmt::format("Tokens to write at most (default {})", max_tokens_default))
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
  add("--temp", p.temperature, "T", "Temperature; 0 always takes the likeliest (default 0.8)");
  add("--top-k", p.top_k, "K", "Keep the K likeliest tokens; 0: all (default 40)");
  add("--top-p", p.top_p, "P", "Keep the likeliest tokens up to this mass; 1: all (default 0.95)");
  add("--min-p", p.min_p, "P",
      "Keep tokens at least P times as likely as the best; 0: all (default 0.05)");
  add("--repeat-penalty", p.repeat_penalty, "X", "Make repeated tokens less likely; 1: off");
  add("--presence-penalty", p.presence_penalty, "X",
      "Subtract X from the logits of tokens that occurred; 0: off");
  add("--frequency-penalty", p.frequency_penalty, "X",
      "Subtract X for each time that a token occurred; 0: off");
  add("--repeat-last-n", p.repeat_last_n, "N", "Tokens that penalties look back on (default 64)");
  add("--seed", options.seed, "N",
      "Same seed, same text (default: a random one, printed at the end)");
  add("--stop", options.stop, "TEXT", "End before this text; may be given several times")
      ->allow_extra_args(false);
  app.add_flag("--ignore-eos", options.ignore_eos, "Write on when the model says it is done")
      ->group(kGroup);
}

GenerationOptions ToGenerationOptions(const SamplingOptions& options, int64_t max_tokens_default) {
  GenerationOptions result;
  result.max_tokens = options.max_tokens.value_or(max_tokens_default);
  result.sampling = options.params;
  result.sampling.seed = options.seed ? *options.seed : RandomSeed();
  result.stop = options.stop;
  result.ignore_eos = options.ignore_eos;
  return result;
}

std::string DescribeSpeed(const GenerationStats& stats) {
  const int64_t fed = stats.prompt_tokens - stats.cached_tokens;
  std::string text =
      fmt::format("prefill {} tokens, {:.1f} tokens/s; decode {} tokens, {:.1f} tokens/s", fed,
                  stats.PrefillRate(), stats.generated_tokens, stats.DecodeRate());
  if (stats.cached_tokens > 0) text += fmt::format("; {} more were cached", stats.cached_tokens);
  return text;
}

}  // namespace tern::cli
