#include "perf/targets.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace tern {
namespace {

constexpr std::string_view kEveryRow = "*";

std::optional<double> Number(const Record& record, std::string_view field) {
  if (field == "rate") return record.rate;
  const FieldValue* value = record.Find(field);
  if (value == nullptr) return std::nullopt;
  if (const auto* real = std::get_if<double>(value)) return *real;
  if (const auto* whole = std::get_if<int64_t>(value)) return static_cast<double>(*whole);
  return std::nullopt;
}

// The JSON library throws on what it can't parse.
std::optional<nlohmann::json> Parse(std::string_view text) {
  nlohmann::json value = nlohmann::json::parse(text, nullptr, false);
  return value.is_discarded() ? std::nullopt : std::optional(std::move(value));
}

Result<Target> ToTarget(const std::string& row, const std::string& key,
                        const nlohmann::json& bound) {
  const bool minimum = key.starts_with("min_");
  if ((!minimum && !key.starts_with("max_")) || key.size() == 4)
    return Fail(Code::kCorrupt, "row '{}': found key '{}', expected min_FIELD or max_FIELD", row,
                key);
  if (!bound.is_number())
    return Fail(Code::kCorrupt, "row '{}': key '{}': found {}, expected a number", row, key,
                bound.type_name());
  return Target{row, key.substr(4), minimum, bound.get<double>()};
}

bool Met(const Target& target, double value) {
  return target.minimum ? value >= target.bound : value <= target.bound;
}

}  // namespace

Result<std::vector<Target>> ParseTargets(std::string_view json, const std::string& name) {
  const auto parsed = Parse(json);
  if (!parsed || !parsed->is_object())
    return Fail(Code::kCorrupt, "{}: expected a JSON object with an object for each row", name);
  std::vector<Target> targets;
  for (const auto& [row, bounds] : parsed->items()) {
    if (!bounds.is_object())
      return Fail(Code::kCorrupt, "{}: row '{}': found {}, expected an object", name, row,
                  bounds.type_name());
    for (const auto& [key, bound] : bounds.items()) {
      auto target = ToTarget(row, key, bound);
      if (!target) return Within(name, target.error());
      targets.push_back(std::move(*target));
    }
  }
  return targets;
}

std::optional<std::vector<Target>> TargetPreset(std::string_view name) {
  if (name != "product") return std::nullopt;
  constexpr const char* kLayer = "bitlinear [1,768]x768";
  return std::vector<Target>{{kLayer, "rate", true, 300000},
                             {kLayer, "p50_ms", false, 1},
                             {kLayer, "p95_ms", false, 2},
                             {kLayer, "p99_ms", false, 5},
                             {kLayer, "memory_mb", false, 50},
                             {"public API", "overhead_percent", false, 5},
                             {"gpu", "utilisation_percent", true, 80}};
}

std::vector<TargetOutcome> JudgeTargets(const std::vector<Record>& records,
                                        const std::vector<Target>& targets) {
  std::vector<TargetOutcome> outcomes;
  for (const Target& target : targets) {
    const size_t before = outcomes.size();
    for (const Record& record : records) {
      if (target.row != kEveryRow && target.row != record.name) continue;
      const auto value = Number(record, target.field);
      if (!value || std::isnan(*value)) continue;
      outcomes.push_back({target, record.name, *value,
                          Met(target, *value) ? TargetState::kMet : TargetState::kMissed});
    }
    if (outcomes.size() == before)
      outcomes.push_back({target, target.row, 0, TargetState::kAbsent});
  }
  return outcomes;
}

std::string DisplayTargets(const std::vector<TargetOutcome>& outcomes) {
  std::string out = "| row | figure | wanted | found | |\n| --- | --- | ---: | ---: | --- |\n";
  for (const TargetOutcome& o : outcomes)
    out += fmt::format("| {} | {} | {} {:.6g} | {} | {} |\n", o.row, o.target.field,
                       o.target.minimum ? "at least" : "at most", o.target.bound,
                       o.state == TargetState::kAbsent ? "" : fmt::format("{:.6g}", o.value),
                       o.state == TargetState::kMet      ? "met"
                       : o.state == TargetState::kMissed ? "MISSED"
                                                         : "absent");
  return out;
}

std::vector<std::string> MissedTargets(const std::vector<Record>& records,
                                       const std::vector<Target>& targets) {
  std::vector<std::string> missed;
  for (const TargetOutcome& o : JudgeTargets(records, targets)) {
    if (o.state == TargetState::kMissed)
      missed.push_back(fmt::format("{}: {} is {:.6g}, wanted at {} {:.6g}", o.row, o.target.field,
                                   o.value, o.target.minimum ? "least" : "most", o.target.bound));
    if (o.state == TargetState::kAbsent)
      missed.push_back(
          fmt::format("no row '{}' with a number '{}' was measured", o.target.row, o.target.field));
  }
  return missed;
}

}  // namespace tern
