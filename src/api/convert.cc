#include "api/convert.h"

#include "grammar/grammar.h"

namespace tern {
namespace {

// The two enumerations have the same names in the same order.
static_assert(static_cast<int>(v1::ErrorCode::kInternal) == static_cast<int>(Code::kInternal));
static_assert(static_cast<int>(v1::FinishReason::kDeadline) ==
              static_cast<int>(FinishReason::kDeadline));
static_assert(static_cast<int>(v1::OptimizationLevel::kAggressive) ==
              static_cast<int>(OptimizationLevel::kAggressive));

constexpr std::chrono::milliseconds kAnyTime = std::chrono::hours(24 * 365);

std::optional<KvType> ToKvType(v1::KvType type) {
  switch (type) {
    case v1::KvType::kDefault:
      return std::nullopt;
    case v1::KvType::kF16:
      return KvType::kF16;
    case v1::KvType::kBf16:
      return KvType::kBf16;
    case v1::KvType::kF32:
      return KvType::kF32;
    case v1::KvType::kInt8:
      return KvType::kInt8;
  }
  return std::nullopt;
}

SessionOptions Preset(const std::string& path, v1::LoadOptions::Goal goal) {
  switch (goal) {
    case v1::LoadOptions::Goal::kSpeed:
      return SessionOptions::OptimizedForSpeed(path);
    case v1::LoadOptions::Goal::kMemory:
      return SessionOptions::OptimizedForMemory(path);
    case v1::LoadOptions::Goal::kBalanced:
      break;
  }
  SessionOptions options;
  options.model = path;
  return options;
}

Status CheckAtLeast(const char* name, int64_t value, int64_t least) {
  if (value >= least) return {};
  return Fail(Code::kInvalidArgument, "{}: found {}, expected at least {}", name, value, least);
}

v1::Stats Counts(const EngineStats& s) {
  return {.running = s.running,
          .waiting = s.waiting,
          .kv_blocks = s.kv_blocks,
          .kv_blocks_used = s.kv_blocks_used,
          .kv_blocks_cached = s.kv_blocks_cached,
          .requests = s.requests,
          .finished = s.finished,
          .cancelled = s.cancelled,
          .refused = s.refused,
          .failed = s.failed,
          .preempted = s.preempted,
          .prompt_tokens = s.prompt_tokens,
          .cached_tokens = s.cached_tokens,
          .generated_tokens = s.generated_tokens,
          .drafted_tokens = s.drafted_tokens,
          .accepted_tokens = s.accepted_tokens,
          .steps = s.steps};
}

v1::TimeSummary Summary(const HistogramSnapshot& times) {
  return {.count = times.count(),
          .p50 = times.Percentile(50),
          .p90 = times.Percentile(90),
          .p95 = times.Percentile(95),
          .p99 = times.Percentile(99),
          .p999 = times.Percentile(99.9),
          .max = times.max()};
}

}  // namespace

v1::Error ToPublic(const Error& error) {
  return {static_cast<v1::ErrorCode>(error.code), error.message};
}

v1::FinishReason ToPublic(FinishReason reason) { return static_cast<v1::FinishReason>(reason); }

v1::TokenLogprobs ToPublic(const TokenEvent& event) {
  v1::TokenLogprobs result{.token = {event.id, event.logprob}, .top = {}};
  for (const TokenLogprob& other : event.top) result.top.push_back({other.id, other.logprob});
  return result;
}

v1::Usage ToPublic(const GenerationStats& s) {
  return {.prompt_tokens = s.prompt_tokens,
          .cached_tokens = s.cached_tokens,
          .generated_tokens = s.generated_tokens,
          .drafted_tokens = s.drafted_tokens,
          .accepted_tokens = s.accepted_tokens,
          .queue_seconds = s.queue_seconds,
          .prefill_seconds = s.prefill_seconds,
          .decode_seconds = s.decode_seconds};
}

v1::Stats ToPublic(const EngineStats& s, const PerformanceMonitor* monitor) {
  v1::Stats result = Counts(s);
  if (monitor == nullptr) return result;
  result.first_token = Summary(monitor->first_token());
  result.between_tokens = Summary(monitor->between_tokens());
  result.queue = Summary(monitor->queue_time());
  result.pass = Summary(monitor->pass_time());
  return result;
}

Result<EngineOptions> ToEngineOptions(const std::string& path, const v1::LoadOptions& options) {
  TERN_TRY(CheckAtLeast("threads", options.threads, 0));
  TERN_TRY(CheckAtLeast("context", options.context, 0));
  TERN_TRY(CheckAtLeast("max_sequences", options.max_sequences, 1));
  TERN_TRY(CheckAtLeast("max_queue", options.max_queue, 1));
  TERN_TRY(CheckAtLeast("memory_budget", options.memory_budget, 0));
  TERN_TRY(CheckAtLeast("draft_tokens", options.draft_tokens, 0));
  if (!(options.alert_tolerance > 0))
    return Fail(Code::kInvalidArgument, "alert_tolerance: found {}, expected more than 0",
                options.alert_tolerance);
  TERN_TRY(CheckAtLeast("alert_after", options.alert_after.count(), 0));
  EngineOptions result;
  result.session = Preset(path, options.goal);
  if (options.context > 0) result.session.context = options.context;
  if (const auto kv = ToKvType(options.kv)) result.session.kv = kv;
  result.session.head = options.head == v1::HeadType::kInt8 ? TableForm::kInt8 : TableForm::kNative;
  result.session.level = static_cast<OptimizationLevel>(options.level);
  result.session.cache.folder = options.cache_folder;
  result.session.progress = options.progress;
  result.max_sequences = options.max_sequences;
  result.max_queue = options.max_queue;
  result.memory_budget = static_cast<uint64_t>(options.memory_budget);
  result.prefix_cache = options.prefix_cache;
  result.draft_tokens = options.draft_tokens;
  result.monitoring.tolerance = options.alert_tolerance;
  result.monitoring.hold = std::chrono::duration<double>(options.alert_after).count();
  if (options.on_alert)
    result.monitoring.on_alert = [on_alert = options.on_alert](const PerformanceAlert& alert) {
      on_alert({.operation = alert.operation,
                .firing = alert.firing,
                .ratio = alert.ratio,
                .low = alert.low,
                .high = alert.high,
                .tolerance = alert.tolerance});
    };
  // As good as any time, and no overflow when it is added to the clock.
  result.stall_limit = options.stall_limit.count() > 0 ? options.stall_limit : kAnyTime;
  return result;
}

Result<GenerationOptions> ToGenerationOptions(const v1::GenerateOptions& options) {
  GenerationOptions result;
  result.max_tokens = options.max_tokens;
  result.min_tokens = options.min_tokens;
  result.sampling = {.temperature = options.temperature,
                     .top_k = options.top_k,
                     .top_p = options.top_p,
                     .min_p = options.min_p,
                     .repeat_penalty = options.repeat_penalty,
                     .presence_penalty = options.presence_penalty,
                     .frequency_penalty = options.frequency_penalty,
                     .repeat_last_n = options.repeat_last_n,
                     .seed = options.seed};
  result.stop = options.stop;
  result.ignore_eos = options.ignore_eos;
  result.special = options.special;
  result.top_logprobs = options.top_logprobs;
  result.logit_bias = options.logit_bias;
  if (!options.grammar.empty() && !options.json_schema.empty())
    return Fail(Code::kInvalidArgument, "found a grammar and a JSON schema, expected one of them");
  if (!options.grammar.empty()) {
    TERN_ASSIGN_OR_RETURN(result.grammar, Grammar::FromGbnf(options.grammar));
  } else if (!options.json_schema.empty()) {
    TERN_ASSIGN_OR_RETURN(result.grammar, Grammar::FromJsonSchema(options.json_schema));
  }
  return result;
}

}  // namespace tern
