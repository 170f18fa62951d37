// What the public API costs: the time of a decoded token through tern::v1, beside that of the raw
// executor's forward pass for the same token. In turns, and the best of each counts, so that other
// work on the machine does not.
#include <benchmark/benchmark.h>
#include <tern/tern.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "engine/session.h"
#include "model/executor.h"
#include "registry/registry.h"

namespace tern {
namespace {

constexpr int64_t kTokens = 64, kContext = 128;
constexpr const char* kModel = TERN_SOURCE_DIR "/models/tern-stories.gguf";
constexpr const char* kPrompt = "Once upon a time";

double Seconds(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Decodes these tokens one after the other behind the prompt; seconds a token, or -1.
double RawSeconds(Session& session, std::span<const TokenId> prompt, std::span<const TokenId> ids) {
  const std::vector<BlockId> table = IdentityTable(kContext);
  const SequenceRows rows(prompt, 0, table);
  if (!session.decoder().Forward(rows.WantingLast(), session.cache())) return -1;
  const auto start = std::chrono::steady_clock::now();
  for (size_t i = 0; i < ids.size(); ++i) {
    const SequenceRows row(ids.subspan(i, 1), static_cast<int64_t>(prompt.size() + i), table);
    const auto logits = session.decoder().Forward(row.WantingLast(), session.cache());
    if (!logits) return -1;
    benchmark::DoNotOptimize(logits->data);
  }
  return Seconds(start) / static_cast<double>(ids.size());
}

/// how: generates one answer. Adds the figures in microseconds a token.
template <class Generate>
void Compare(benchmark::State& state, const Generate& how) {
  const auto threads = static_cast<int>(state.range(0));
  auto backend = CreateBackend("auto", {.threads = threads});
  SessionOptions options;
  options.model = kModel;
  options.context = kContext;
  auto session = backend ? Session::Open(std::move(*backend), options)
                         : Result<std::unique_ptr<Session>>(tl::unexpected(backend.error()));
  const auto model = v1::Model::Load(kModel, {.threads = threads, .context = kContext});
  if (!session || !model) {
    state.SkipWithError("the built-in model can't be loaded");
    return;
  }
  const v1::GenerateOptions greedy{.max_tokens = kTokens, .temperature = 0, .ignore_eos = true};
  const auto prompt = model->TokenizePrompt(kPrompt);
  double raw = std::numeric_limits<double>::max(), api = raw;
  for (auto _ : state) {
    const v1::Completion answer = how(*model, greedy);
    api = std::min(api, answer.usage.decode_seconds / static_cast<double>(answer.ids.size() - 1));
    raw = std::min(raw, RawSeconds(**session, *prompt, answer.ids));
  }
  state.counters["raw_us"] = raw * 1e6;
  state.counters["api_us"] = api * 1e6;
  state.counters["cost_percent"] = (api / raw - 1) * 100;
}

// Time from the first piece to the last, as the reader sees it.
v1::Completion Timed(const v1::Model& model, const v1::GenerateOptions& options, bool pull) {
  std::optional<std::chrono::steady_clock::time_point> first;
  const auto note = [&first](const v1::Chunk&) {
    if (!first) first = std::chrono::steady_clock::now();
    return true;
  };
  v1::Completion answer;
  if (pull) {
    auto stream = model.Stream(kPrompt, options);
    for (const v1::Chunk& chunk : *stream) note(chunk);
    answer = *stream->Finish();
  } else {
    answer = *model.Generate(kPrompt, options, note);
  }
  answer.usage.decode_seconds = Seconds(*first);
  return answer;
}

void ApiCallback(benchmark::State& state) {
  Compare(state,
          [](const auto& model, const auto& options) { return Timed(model, options, false); });
}
BENCHMARK(ApiCallback)->Arg(1)->Iterations(20)->UseRealTime();

void ApiStream(benchmark::State& state) {
  Compare(state,
          [](const auto& model, const auto& options) { return Timed(model, options, true); });
}
BENCHMARK(ApiStream)->Arg(1)->Iterations(20)->UseRealTime();

}  // namespace
}  // namespace tern
