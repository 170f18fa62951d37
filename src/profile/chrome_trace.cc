#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "profile/pictures.h"

namespace tern {
namespace {

using Json = nlohmann::ordered_json;
using TimePoint = std::chrono::steady_clock::time_point;

class Events {
 public:
  explicit Events(TimePoint zero) : zero_(zero) {
    Name("process_name", "tern profile");
    Name("thread_name", "forward passes");
  }

  void Slice(const std::string& name, const char* category, TimePoint begin, TimePoint end,
             Json arguments) {
    events_.push_back({{"name", name},
                       {"cat", category},
                       {"ph", "X"},
                       {"ts", Microseconds(begin - zero_)},
                       {"dur", Microseconds(end - begin)},
                       {"pid", 1},
                       {"tid", 1},
                       {"args", std::move(arguments)}});
  }

  Json Take() { return std::move(events_); }

 private:
  static double Microseconds(std::chrono::steady_clock::duration time) {
    return std::chrono::duration<double, std::micro>(time).count();
  }
  void Name(const char* what, const char* name) {
    events_.push_back(
        {{"name", what}, {"ph", "M"}, {"pid", 1}, {"tid", 1}, {"args", {{"name", name}}}});
  }

  TimePoint zero_;
  Json events_ = Json::array();
};

Json Arguments(const ProfiledOp& op) {
  const OpCost& cost = op.call.cost;
  const double seconds = op.call.seconds();
  Json arguments = {{"rows", op.call.rows}, {"bytes", cost.bytes}, {"operations", cost.operations}};
  if (seconds > 0) {
    arguments["gb_s"] = 1e-9 * static_cast<double>(cost.bytes) / seconds;
    arguments["gops"] = 1e-9 * static_cast<double>(cost.operations) / seconds;
  }
  return arguments;
}

// The end of the operations from `first` that belong together.
template <class Same>
size_t EndOf(const std::vector<ProfiledOp>& ops, size_t first, Same same) {
  size_t end = first + 1;
  while (end < ops.size() && same(ops[end])) ++end;
  return end;
}

void AddLayers(const std::vector<ProfiledOp>& ops, size_t first, size_t last, Events& events) {
  while (first < last) {
    const int64_t layer = ops[first].call.layer;
    const size_t end = std::min(
        last, EndOf(ops, first, [layer](const ProfiledOp& op) { return op.call.layer == layer; }));
    if (layer != kNoLayer)
      events.Slice(fmt::format("layer {}", layer), "layer", ops[first].call.begin,
                   ops[end - 1].call.end, {{"layer", layer}});
    for (; first < end; ++first)
      events.Slice(ops[first].role.name, "operation", ops[first].call.begin, ops[first].call.end,
                   Arguments(ops[first]));
  }
}

}  // namespace

std::string ChromeTrace(const Profile& profile) {
  const auto begun = std::find_if(profile.phases.begin(), profile.phases.end(),
                                  [](const ProfilePhase& phase) { return !phase.ops.empty(); });
  Events events(begun == profile.phases.end() ? TimePoint() : begun->ops.front().call.begin);
  for (const ProfilePhase& phase : profile.phases) {
    // A pass begins with its embedding.
    for (size_t first = 0; first < phase.ops.size();) {
      const size_t end =
          EndOf(phase.ops, first, [](const ProfiledOp& op) { return op.call.op != "Embed"; });
      events.Slice(fmt::format("{} pass", phase.name), "pass", phase.ops[first].call.begin,
                   phase.ops[end - 1].call.end, {{"rows", phase.ops[first].call.rows}});
      AddLayers(phase.ops, first, end, events);
      first = end;
    }
  }
  const Json trace = {{"traceEvents", events.Take()},
                      {"displayTimeUnit", "ms"},
                      {"otherData",
                       {{"model", profile.subject.model},
                        {"backend", profile.subject.backend},
                        {"threads", profile.subject.threads}}}};
  return trace.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tern
