#include "api/c_options.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>
#include <tuple>

namespace tern {
namespace {

v1::Error Wrong(const char* name, int found, int most) {
  return {v1::ErrorCode::kInvalidArgument, std::string(name) + ": found " + std::to_string(found) +
                                               ", expected 0 to " + std::to_string(most)};
}

// The defaults, overwritten by as much as the caller's version of the struct has.
template <class T>
bool Overlay(const T& given, T& all) {
  if (given.size < sizeof given.size) return false;
  std::memcpy(&all, &given, std::min(given.size, sizeof all));
  return true;
}

v1::Error WrongSize(const char* init) {
  return {v1::ErrorCode::kInvalidArgument,
          "options.size: found 0, expected options initialised by " + std::string(init)};
}

// An enumerator as C has it: any int. C++ may not even look at one that isn't there.
template <class Enum>
int NumberOf(const Enum& value) {
  int number = 0;
  static_assert(sizeof value == sizeof number);
  std::memcpy(&number, &value, sizeof number);
  return number;
}

std::string OrEmpty(const char* text) { return text == nullptr ? "" : text; }

}  // namespace

v1::Result<v1::LoadOptions> FromC(const tern_load_options* given) {
  tern_load_options c;
  tern_load_options_init(&c);
  if (given != nullptr && !Overlay(*given, c)) return WrongSize("tern_load_options_init");
  const std::tuple<const char*, int, int> enumerations[] = {
      {"goal", NumberOf(c.goal), TERN_GOAL_MEMORY},
      {"kv", NumberOf(c.kv), TERN_KV_INT8},
      {"head", NumberOf(c.head), TERN_HEAD_INT8},
      {"level", NumberOf(c.level), TERN_LEVEL_AGGRESSIVE}};
  for (const auto& [name, value, most] : enumerations)
    if (value < 0 || value > most) return Wrong(name, value, most);
  v1::LoadOptions options;
  options.goal = static_cast<v1::LoadOptions::Goal>(c.goal);
  options.threads = c.threads;
  options.context = c.context;
  options.kv = static_cast<v1::KvType>(c.kv);
  options.head = static_cast<v1::HeadType>(c.head);
  options.level = static_cast<v1::OptimizationLevel>(c.level);
  if (c.backend != nullptr) options.backend = c.backend;
  options.cache_folder = OrEmpty(c.cache_folder);
  options.max_sequences = c.max_sequences;
  options.max_queue = c.max_queue;
  options.memory_budget = c.memory_budget;
  options.prefix_cache = c.prefix_cache != 0;
  options.draft_tokens = c.draft_tokens;
  options.alert_tolerance = c.alert_tolerance;
  options.alert_after = std::chrono::milliseconds(c.alert_after_ms);
  if (c.on_alert != nullptr)
    options.on_alert = [call = c.on_alert, user = c.on_alert_user](const v1::PerformanceAlert& a) {
      const tern_alert alert = {.size = sizeof alert,
                                .operation = a.operation.c_str(),
                                .firing = a.firing ? 1 : 0,
                                .ratio = a.ratio,
                                .low = a.low,
                                .high = a.high,
                                .tolerance = a.tolerance};
      call(&alert, user);
    };
  return options;
}

v1::Result<v1::GenerateOptions> FromC(const tern_generate_options* given) {
  tern_generate_options c;
  tern_generate_options_init(&c);
  if (given != nullptr && !Overlay(*given, c)) return WrongSize("tern_generate_options_init");
  v1::GenerateOptions options;
  options.max_tokens = c.max_tokens;
  options.min_tokens = c.min_tokens;
  options.temperature = c.temperature;
  options.top_k = c.top_k;
  options.top_p = c.top_p;
  options.min_p = c.min_p;
  options.repeat_penalty = c.repeat_penalty;
  options.presence_penalty = c.presence_penalty;
  options.frequency_penalty = c.frequency_penalty;
  options.repeat_last_n = c.repeat_last_n;
  options.seed = c.seed;
  for (size_t i = 0; i < c.stop_count; ++i) {
    if (c.stop == nullptr || c.stop[i] == nullptr)
      return v1::Error{v1::ErrorCode::kInvalidArgument, "stop: found NULL, expected a text"};
    options.stop.emplace_back(c.stop[i]);
  }
  options.ignore_eos = c.ignore_eos != 0;
  options.special = c.special != 0;
  options.grammar = OrEmpty(c.grammar);
  options.json_schema = OrEmpty(c.json_schema);
  options.priority = c.priority;
  if (c.timeout_ms > 0) options.timeout = std::chrono::milliseconds(c.timeout_ms);
  return options;
}

}  // namespace tern

void tern_load_options_init(tern_load_options* options) {
  const tern::v1::LoadOptions defaults;
  *options = {};
  options->size = sizeof *options;
  options->level = TERN_LEVEL_AGGRESSIVE;
  options->max_sequences = defaults.max_sequences;
  options->max_queue = defaults.max_queue;
  options->prefix_cache = defaults.prefix_cache;
  options->alert_tolerance = defaults.alert_tolerance;
  options->alert_after_ms = defaults.alert_after.count();
}

void tern_generate_options_init(tern_generate_options* options) {
  const tern::v1::GenerateOptions defaults;
  *options = {};
  options->size = sizeof *options;
  options->max_tokens = defaults.max_tokens;
  options->temperature = defaults.temperature;
  options->top_k = defaults.top_k;
  options->top_p = defaults.top_p;
  options->min_p = defaults.min_p;
  options->repeat_penalty = defaults.repeat_penalty;
  options->presence_penalty = defaults.presence_penalty;
  options->frequency_penalty = defaults.frequency_penalty;
  options->repeat_last_n = defaults.repeat_last_n;
}
