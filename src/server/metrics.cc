#include "server/metrics.h"

#include <utility>

#include "server/json_fields.h"

namespace tern {
namespace {

using Type = PrometheusText::Type;

void AddHttp(const HttpStats& http, PrometheusText& out) {
  const auto number = [](uint64_t count) { return static_cast<double>(count); };
  out.Add("tern_connections", Type::kGauge, "Connections that are open.", number(http.connections));
  out.Add("tern_connections_total", Type::kCounter, "Connections since the start.",
          number(http.accepted));
  out.Add("tern_connections_turned_away_total", Type::kCounter,
          "Connections beyond the limit, told to come back.", number(http.turned_away));
}

}  // namespace

std::string RenderMetrics(const EngineStats* engine, PerformanceMonitor* monitor,
                          const HttpStats& http) {
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
  counter("tern_prompt_tokens_total", "Prompt tokens, cached ones among them.", s.prompt_tokens);
  counter("tern_prompt_tokens_cached_total", "Prompt tokens found in the prefix cache.",
          s.cached_tokens);
  out.Begin("tern_requests_total", Type::kCounter, "Requests that ended, by what became of them.");
  const std::pair<const char*, uint64_t> results[] = {{"finished", s.finished},
                                                      {"cancelled", s.cancelled},
                                                      {"refused", s.refused},
                                                      {"failed", s.failed}};
  for (const auto& [result, count] : results)
    out.Value(static_cast<double>(count), {{"result", result}});
  gauge("tern_requests_running", "Requests being read or answered.", s.running);
  gauge("tern_requests_waiting", "Requests in the queue.", s.waiting);
  gauge("tern_requests_paused", "Requests whose reader is behind.", s.paused);
  gauge("tern_batch_rows", "Rows of the last forward pass.", s.last_batch_rows);
  gauge("tern_kv_blocks", "Blocks of the cache of keys and values.", s.kv_blocks);
  gauge("tern_kv_blocks_used", "Blocks that running requests hold.", s.kv_blocks_used);
  gauge("tern_kv_blocks_cached", "Blocks kept for the prefix cache alone.", s.kv_blocks_cached);
  counter("tern_preemptions_total", "Sequences that lost their blocks for want of room.",
          s.preempted);
  counter("tern_kv_blocks_swapped_total", "Blocks that preempted sequences kept on the host.",
          s.swapped_blocks);
  gauge("tern_kv_swap_slots", "Room for blocks on the host.", s.swap_slots);
  gauge("tern_kv_swap_slots_used", "Of it, taken by sequences that wait.", s.swap_slots_used);
  counter("tern_draft_tokens_total", "Tokens guessed ahead.", s.drafted_tokens);
  counter("tern_draft_tokens_accepted_total", "Guessed tokens that were right.", s.accepted_tokens);
  counter("tern_steps_total", "Forward passes.", s.steps);
  if (monitor != nullptr) monitor->Render(out);
  return out.Take();
}

std::string RenderSlots(const EngineStats& engine, int64_t slots, int64_t context) {
  Json list = Json::array();
  for (int64_t i = 0; i < slots; ++i)
    list.push_back({{"id", i}, {"n_ctx", context}, {"is_processing", i < engine.running}});
  return Dump(list);
}

}  // namespace tern
