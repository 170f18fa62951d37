#include "server/metrics.h"

#include <fmt/format.h>

#include <cmath>

#include "server/json_fields.h"

namespace tern {
namespace {

using Type = PrometheusText::Type;

const char* Name(Type type) {
  switch (type) {
    case Type::kCounter:
      return "counter";
    case Type::kGauge:
      return "gauge";
    case Type::kSummary:
      break;
  }
  return "summary";
}

void AddSummary(const char* name, const char* help, const Histogram& histogram,
                PrometheusText& out) {
  constexpr std::pair<const char*, double> kQuantiles[] = {{"0.5", 50}, {"0.95", 95}, {"0.99", 99}};
  out.Begin(name, Type::kSummary, help);
  for (const auto& [quantile, percent] : kQuantiles)
    out.Value(histogram.count() == 0 ? std::nan("") : histogram.Percentile(percent),
              fmt::format("quantile=\"{}\"", quantile));
  out.Value(histogram.sum(), {}, "_sum");
  out.Value(static_cast<double>(histogram.count()), {}, "_count");
}

void AddHttp(const HttpStats& http, PrometheusText& out) {
  const auto number = [](uint64_t count) { return static_cast<double>(count); };
  out.Add("tern_connections", Type::kGauge, "Connections that are open.", number(http.connections));
  out.Add("tern_connections_total", Type::kCounter, "Connections since the start.",
          number(http.accepted));
  out.Add("tern_connections_turned_away_total", Type::kCounter,
          "Connections beyond the limit, told to come back.", number(http.turned_away));
}

}  // namespace

void PrometheusText::Begin(std::string_view name, Type type, std::string_view help) {
  name_ = name;
  fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name,
                 Name(type));
}

void PrometheusText::Value(double value, std::string_view labels, std::string_view suffix) {
  text_ += name_;
  text_ += suffix;
  if (!labels.empty()) fmt::format_to(std::back_inserter(text_), "{{{}}}", labels);
  if (std::isnan(value))
    text_ += " NaN\n";
  else
    fmt::format_to(std::back_inserter(text_), " {}\n", value);
}

void PrometheusText::Add(std::string_view name, Type type, std::string_view help, double value) {
  Begin(name, type, help);
  Value(value);
}

std::string RenderMetrics(const EngineStats* engine, const HttpStats& http) {
  PrometheusText out;
  out.Add("tern_ready", Type::kGauge, "1 when the model is loaded.", engine == nullptr ? 0 : 1);
  AddHttp(http, out);
  if (engine == nullptr) return out.Take();
  const EngineStats& s = *engine;
  const auto counter = [&](const char* name, const char* help, uint64_t value) {
    out.Add(name, Type::kCounter, help, static_cast<double>(value));
  };
  const auto gauge = [&](const char* name, const char* help, int64_t value) {
    out.Add(name, Type::kGauge, help, static_cast<double>(value));
  };
  counter("tern_tokens_generated_total", "Tokens generated.", s.generated_tokens);
  counter("tern_prompt_tokens_total", "Prompt tokens evaluated, without cached ones.",
          s.prompt_tokens);
  counter("tern_prompt_tokens_cached_total", "Prompt tokens found in the prefix cache.",
          s.cached_tokens);
  out.Begin("tern_requests_total", Type::kCounter, "Requests that ended, by what became of them.");
  const std::pair<const char*, uint64_t> results[] = {{"finished", s.finished},
                                                      {"cancelled", s.cancelled},
                                                      {"refused", s.refused},
                                                      {"failed", s.failed}};
  for (const auto& [result, count] : results)
    out.Value(static_cast<double>(count), fmt::format("result=\"{}\"", result));
  gauge("tern_requests_running", "Requests being read or answered.", s.running);
  gauge("tern_requests_waiting", "Requests in the queue.", s.waiting);
  gauge("tern_requests_paused", "Requests whose reader is behind.", s.paused);
  gauge("tern_batch_rows", "Rows of the last forward pass.", s.last_batch_rows);
  gauge("tern_kv_blocks", "Blocks of the cache of keys and values.", s.kv_blocks);
  gauge("tern_kv_blocks_used", "Blocks that running requests hold.", s.kv_blocks_used);
  gauge("tern_kv_blocks_cached", "Blocks kept for the prefix cache alone.", s.kv_blocks_cached);
  counter("tern_preemptions_total", "Sequences that lost their blocks for want of room.",
          s.preempted);
  counter("tern_draft_tokens_total", "Tokens guessed ahead.", s.drafted_tokens);
  counter("tern_draft_tokens_accepted_total", "Guessed tokens that were right.", s.accepted_tokens);
  counter("tern_steps_total", "Forward passes.", s.steps);
  AddSummary("tern_ttft_seconds", "Time to the first token.", s.time_to_first_token, out);
  AddSummary("tern_inter_token_seconds", "Time between two tokens of an answer.", s.between_tokens,
             out);
  AddSummary("tern_queue_seconds", "Time until a request was begun.", s.queue_time, out);
  AddSummary("tern_step_seconds", "Time of a forward pass.", s.step_time, out);
  return out.Take();
}

std::string RenderSlots(const EngineStats& engine, int64_t slots, int64_t context) {
  Json list = Json::array();
  for (int64_t i = 0; i < slots; ++i)
    list.push_back({{"id", i}, {"n_ctx", context}, {"is_processing", i < engine.running}});
  return Dump(list);
}

}  // namespace tern
