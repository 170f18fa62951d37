// Profiles as Markdown and as JSON.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "profile/summary.h"

namespace tern {
namespace {

using Json = nlohmann::ordered_json;

std::string Cell(double value, const char* unit = "") {
  return value > 0 ? fmt::format("{:.{}f}{}", value,
                                 value < 10    ? 2
                                 : value < 100 ? 1
                                               : 0,
                                 unit)
                   : "";
}

std::string Line(const OpGroup& group, double seconds, bool limits) {
  return fmt::format(
      "| {} | {} | {:.3f} | {:.1f}% | {:.4g} | {:.4g} | {} | {} | {} | {} |\n", group.name,
      group.calls, 1e3 * group.seconds, seconds > 0 ? 100 * group.seconds / seconds : 0,
      1e-9 * group.bytes, 1e-9 * group.operations, Cell(group.GigabytesPerSecond()),
      Cell(group.GigaOpsPerSecond()), limits ? fmt::format("{:.0f}%", group.PercentOfLimit()) : "",
      limits ? BoundName(group.bound()) : "");
}

std::string Table(const char* head, const std::vector<OpGroup>& groups, double seconds,
                  bool limits) {
  std::string out = fmt::format(
      "| {} | calls | ms | of time | GB | GOP | GB/s | GOPS | of limit | bound |\n"
      "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n",
      head);
  for (const OpGroup& group : groups) out += Line(group, seconds, limits);
  return out;
}

std::string LimitsText(const ProfileLimits& limits) {
  if (limits.stream <= 0) return "";
  std::string out =
      fmt::format("Limits measured in this run: {} {:.1f} GB/s", limits.stream_name, limits.stream);
  const auto add = [&out](const ProfileLimits::Peak& peak) {
    if (peak.tops > 0) out += fmt::format(", {} {:.2f} TOPS", peak.name, peak.tops);
  };
  for (const ProfileLimits::Peak& peak : limits.int8) add(peak);
  add(limits.float32);
  add(limits.bfloat16);
  return out + ".\n";
}

std::string PhaseText(const ProfilePhase& phase, const ProfileLimits& limits) {
  const PhaseSummary summary = Summarize(phase);
  const bool known = limits.stream > 0;
  std::string out = fmt::format("\n## {}: {}\n\n", phase.name, phase.test.Name());
  out += Table("operation", summary.ops, summary.seconds, known);
  out += fmt::format("| between operations | | {:.3f} | {:.1f}% | | | | | | |\n",
                     1e3 * summary.Between(), 100 - summary.PartsPercent());
  OpGroup all = summary.all;
  all.name = "all operations";
  out += Line(all, summary.seconds, known);
  out += fmt::format(
      "\n{:.3f} ms in {} passes, measured from outside; the operations are {:.1f}% of it. The "
      "fastest run without a clock inside took {:.3f} ms.\n\n",
      1e3 * summary.seconds, phase.pass_seconds.size(), summary.PartsPercent(),
      1e3 * phase.untraced_seconds);
  out += Table("layer", summary.layers, summary.seconds, known);
  return out + "\n" + BoundSentence(phase, limits) + "\n";
}

Json GroupJson(const OpGroup& group, double seconds, bool limits) {
  Json json = {{"name", group.name},
               {"calls", group.calls},
               {"seconds", group.seconds},
               {"percent_of_time", seconds > 0 ? 100 * group.seconds / seconds : 0},
               {"bytes", group.bytes},
               {"operations", group.operations},
               {"gb_s", group.GigabytesPerSecond()},
               {"gops", group.GigaOpsPerSecond()},
               {"percent_of_limit", nullptr},
               {"bound", nullptr}};
  if (!group.part.empty()) json["part"] = group.part;
  if (!limits) return json;
  json["percent_of_limit"] = group.PercentOfLimit();
  json["bound"] = BoundName(group.bound());
  return json;
}

Json PhaseJson(const ProfilePhase& phase, const ProfileLimits& limits) {
  const PhaseSummary summary = Summarize(phase);
  const bool known = limits.stream > 0;
  Json json = {{"phase", phase.name},
               {"test", phase.test.Name()},
               {"passes", phase.pass_seconds.size()},
               {"seconds", summary.seconds},
               {"untraced_seconds", phase.untraced_seconds},
               {"operations_seconds", summary.all.seconds},
               {"percent_in_operations", summary.PartsPercent()},
               {"bound", nullptr},
               {"sentence", BoundSentence(phase, limits)},
               {"pass_seconds", phase.pass_seconds},
               {"ops", Json::array()},
               {"layers", Json::array()}};
  if (known) json["bound"] = BoundName(summary.bound());
  for (const OpGroup& group : summary.ops)
    json["ops"].push_back(GroupJson(group, summary.seconds, known));
  for (const OpGroup& group : summary.layers)
    json["layers"].push_back(GroupJson(group, summary.seconds, known));
  return json;
}

Json LimitsJson(const ProfileLimits& limits) {
  if (limits.stream <= 0) return nullptr;
  Json peaks = Json::array();
  const auto add = [&peaks](const ProfileLimits::Peak& peak) {
    if (peak.tops > 0)
      peaks.push_back({{"name", peak.name},
                       {"tops", peak.tops},
                       {"first_rows", peak.first_rows},
                       {"last_rows", peak.last_rows}});
  };
  for (const ProfileLimits::Peak& peak : limits.int8) add(peak);
  add(limits.float32);
  add(limits.bfloat16);
  return {{"stream_name", limits.stream_name}, {"stream_gb_s", limits.stream}, {"peaks", peaks}};
}

}  // namespace

std::string ProfileText(const Profile& profile) {
  const BenchmarkSubject& subject = profile.subject;
  std::string out =
      fmt::format("# {} on {}, {} threads\n\n", subject.model, subject.backend, subject.threads);
  out += LimitsText(profile.limits);
  for (const ProfilePhase& phase : profile.phases) out += PhaseText(phase, profile.limits);
  return out;
}

std::string ProfileJson(const Profile& profile) {
  const BenchmarkSubject& subject = profile.subject;
  Json json = {{"model", subject.model},
               {"model_filename", subject.file},
               {"model_size", subject.bytes},
               {"model_n_params", subject.parameters},
               {"backend", subject.backend},
               {"n_threads", subject.threads},
               {"limits", LimitsJson(profile.limits)},
               {"phases", Json::array()}};
  for (const ProfilePhase& phase : profile.phases)
    json["phases"].push_back(PhaseJson(phase, profile.limits));
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tern
