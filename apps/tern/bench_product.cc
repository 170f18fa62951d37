// tern bench --targets product: what tern set out to reach, measured and judged.
#include <tern/tern.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>

#include "base/rng.h"
#include "bench.h"
#include "command.h"
#include "engine/session.h"
#include "interrupt.h"
#include "model/executor.h"

namespace tern::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kTokens = 64, kContext = 128;
constexpr int kRounds = 40;
constexpr const char* kPrompt = "Once upon a time";

double Since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Seconds of the raw forward passes that make these tokens behind the prompt.
Result<double> TimeRaw(Session& session, std::span<const TokenId> prompt,
                       std::span<const TokenId> ids) {
  const std::vector<BlockId> table = IdentityTable(kContext);
  const SequenceRows rows(prompt, 0, table);
  const auto begin = Clock::now();
  TERN_TRY(session.decoder().Forward(rows.WantingLast(), session.cache()));
  for (size_t i = 0; i + 1 < ids.size(); ++i) {
    const SequenceRows row(ids.subspan(i, 1), static_cast<int64_t>(prompt.size() + i), table);
    TERN_TRY(session.decoder().Forward(row.WantingLast(), session.cache()));
  }
  return Since(begin);
}

tl::unexpected<Error> Translated(const v1::Error& error) {
  return Fail(Code::kInternal, "public API: {}", error.message);
}

/// What a token through the public API takes beyond the forward pass alone: both in turn, the best
/// round of each, because what disturbs only ever adds.
Result<Record> MeasureApi(const BenchOptions& options) {
  PrintNote("public API beside the raw forward passes");
  ModelOptions model_options = options.model;
  model_options.threads = 1;
  TERN_ASSIGN_OR_RETURN(const std::string path, ModelPath(model_options));
  TERN_ASSIGN_OR_RETURN(const auto session,
                        OpenSession(model_options, {.tokenizer = false, .context = kContext}));
  const auto model = v1::Model::Load(path, {.threads = 1, .context = kContext});
  if (!model) return Translated(model.error());
  const auto prompt = model->TokenizePrompt(kPrompt);
  if (!prompt) return Translated(prompt.error());
  const v1::GenerateOptions greedy{.max_tokens = kTokens, .temperature = 0, .ignore_eos = true};
  double api = std::numeric_limits<double>::max(), raw = api;
  for (int round = 0; round < kRounds; ++round) {
    if (Interrupted()) return Fail(Code::kCancelled, "stopped");
    std::vector<TokenId> ids;
    const auto begin = Clock::now();
    const auto answer = model->Generate(kPrompt, greedy, [&](const v1::Chunk& chunk) {
      ids.insert(ids.end(), chunk.ids.begin(), chunk.ids.end());
      return true;
    });
    const double seconds = Since(begin);
    if (!answer) return Translated(answer.error());
    api = std::min(api, seconds);
    TERN_ASSIGN_OR_RETURN(const double alone, TimeRaw(*session, *prompt, ids));
    raw = std::min(raw, alone);
  }
  const double per_token = 1e6 / static_cast<double>(kTokens);
  return Record{"public API",
                kTokens / api,
                {{"test", std::string("public API")},
                 {"api_us", api * per_token},
                 {"raw_us", raw * per_token},
                 {"overhead_percent", 100 * (api / raw - 1)}}};
}

}  // namespace

Result<int> BenchProduct(const BenchOptions& options) {
  CatchInterrupts(OnSecondInterrupt::kExit);
  BenchOptions layer = options;
  layer.batches = {1};
  layer.size = "small";
  // Before a model is loaded: the figure for memory is that of the process with one layer.
  TERN_ASSIGN_OR_RETURN(std::vector<Record> records, MeasureBitLinear(layer, [](const Record&) {}));
  if (const FieldValue* busy = records[0].Find("gpu_utilization_percent"))
    records.push_back({"gpu", 0, {{"utilisation_percent", *busy}}});
  TERN_ASSIGN_OR_RETURN(Record api, MeasureApi(options));
  records.push_back(std::move(api));
  const auto outcomes = JudgeTargets(records, *TargetPreset(options.targets_file));
  std::vector<Record> rows;
  for (const TargetOutcome& o : outcomes)
    rows.push_back(
        {o.row,
         o.value,
         {{"test", o.row},
          {"field", o.target.field},
          {"minimum", int64_t{o.target.minimum}},
          {"bound", o.target.bound},
          {"found",
           o.state == TargetState::kAbsent ? std::numeric_limits<double>::quiet_NaN() : o.value},
          {"state", std::string(o.state == TargetState::kMet      ? "met"
                                : o.state == TargetState::kMissed ? "missed"
                                                                  : "absent")}}});
  if (options.output == "md") fmt::print("{}", DisplayTargets(outcomes));
  PrintRecords(rows, options, "tern_targets");
  const bool missed = std::any_of(outcomes.begin(), outcomes.end(), [](const TargetOutcome& o) {
    return o.state == TargetState::kMissed;
  });
  return missed ? kExitMissed : kExitOk;
}

}  // namespace tern::cli
