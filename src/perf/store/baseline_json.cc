// Runs as JSON, the form in which they travel from one file to another.
#include <cmath>
#include <nlohmann/json.hpp>

#include "perf/store/baseline_store.h"

namespace tern {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormat = "tern-baselines-1";

Json ToJson(const MachineFingerprint& m) {
  return {{"cpu", m.cpu},           {"features", m.features},
          {"cpus", m.cpus},         {"l1d", m.caches.l1d},
          {"l2", m.caches.l2},      {"l3", m.caches.l3},
          {"memory", m.memory},     {"memory_bytes", m.memory_bytes},
          {"gpu", m.gpu},           {"gpu_driver", m.gpu_driver},
          {"governor", m.governor}, {"system", m.system}};
}

Json ToJson(const BaselineRun& run) {
  Json limits = Json::array(), results = Json::array();
  for (const Limit& limit : run.limits)
    limits.push_back({{"name", limit.name},
                      {"unit", limit.unit},
                      {"bytes", limit.bytes},
                      {"one", limit.one},
                      {"all", limit.all},
                      {"cpu_share", limit.cpu_share}});
  for (const BaselineResult& result : run.results)
    results.push_back({{"benchmark", result.benchmark},
                       {"parameters", result.parameters},
                       {"metric", result.metric},
                       {"more_is_better", result.more_is_better},
                       {"rounds", result.rounds}});
  return {{"uuid", run.uuid},
          {"name", run.name},
          {"recorded_at", run.recorded_at},
          {"commit", run.commit},
          {"program", run.program},
          {"version", run.build.version},
          {"compiler", run.build.compiler},
          {"flags", run.build.flags},
          {"machine", ToJson(run.machine)},
          {"limits", std::move(limits)},
          {"results", std::move(results)}};
}

// Reads the fields of one object; remembers the first that is missing or of another type.
class Fields {
 public:
  Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) wrong_ = where_ + ": expected an object";
  }

  void Read(const char* key, std::string& out) {
    if (const Json* value = Find(key, &Json::is_string, "a text")) out = value->get<std::string>();
  }
  void Read(const char* key, double& out) {
    if (const Json* value = Find(key, &Json::is_number, "a number")) out = value->get<double>();
  }
  void Read(const char* key, uint64_t& out) {
    if (const Json* value = Find(key, &Json::is_number_unsigned, "a whole number"))
      out = value->get<uint64_t>();
  }
  void Read(const char* key, int& out) {
    uint64_t wide = 0;
    Read(key, wide);
    out = static_cast<int>(std::min<uint64_t>(wide, 1 << 20));
  }
  void Read(const char* key, bool& out) {
    if (const Json* value = Find(key, &Json::is_boolean, "true or false")) out = value->get<bool>();
  }
  const Json& Array(const char* key) {
    static const Json kNone = Json::array();
    const Json* value = Find(key, &Json::is_array, "an array");
    return value ? *value : kNone;
  }
  const Json& Object(const char* key) {
    static const Json kNone = Json::object();
    const Json* value = Find(key, &Json::is_object, "an object");
    return value ? *value : kNone;
  }
  void Blame(std::string_view what) {
    if (wrong_.empty()) wrong_ = fmt::format("{}: {}", where_, what);
  }
  Status Outcome() const {
    if (wrong_.empty()) return {};
    return Fail(Code::kCorrupt, "{}", wrong_);
  }

 private:
  const Json* Find(const char* key, bool (Json::*is)() const noexcept, std::string_view expected) {
    if (!wrong_.empty()) return nullptr;
    const auto found = object_.find(key);
    if (found == object_.end()) {
      Blame(fmt::format("'{}' is missing, expected {}", key, expected));
    } else if (!((*found).*is)()) {
      Blame(fmt::format("'{}': found {}, expected {}", key, found->type_name(), expected));
    } else {
      return &*found;
    }
    return nullptr;
  }

  const Json& object_;
  std::string where_, wrong_;
};

Result<MachineFingerprint> ToMachine(const Json& json, const std::string& where) {
  MachineFingerprint m;
  Fields fields(json, where + ": machine");
  fields.Read("cpu", m.cpu);
  fields.Read("features", m.features);
  fields.Read("cpus", m.cpus);
  fields.Read("l1d", m.caches.l1d);
  fields.Read("l2", m.caches.l2);
  fields.Read("l3", m.caches.l3);
  fields.Read("memory", m.memory);
  fields.Read("memory_bytes", m.memory_bytes);
  fields.Read("gpu", m.gpu);
  fields.Read("gpu_driver", m.gpu_driver);
  fields.Read("governor", m.governor);
  fields.Read("system", m.system);
  TERN_TRY(fields.Outcome());
  return m;
}

Result<Limit> ToLimit(const Json& json, const std::string& where) {
  Limit limit;
  Fields fields(json, where);
  fields.Read("name", limit.name);
  fields.Read("unit", limit.unit);
  fields.Read("bytes", limit.bytes);
  fields.Read("one", limit.one);
  fields.Read("all", limit.all);
  fields.Read("cpu_share", limit.cpu_share);
  TERN_TRY(fields.Outcome());
  return limit;
}

Result<BaselineResult> ToResult(const Json& json, const std::string& where) {
  BaselineResult result;
  Fields fields(json, where);
  fields.Read("benchmark", result.benchmark);
  fields.Read("parameters", result.parameters);
  fields.Read("metric", result.metric);
  fields.Read("more_is_better", result.more_is_better);
  for (const Json& round : fields.Array("rounds")) {
    result.rounds.emplace_back();
    if (!round.is_array()) fields.Blame("'rounds': expected an array of arrays");
    for (const Json& value : round) {
      if (value.is_number())
        result.rounds.back().push_back(value.get<double>());
      else
        fields.Blame(fmt::format("'rounds': found {}, expected a number", value.type_name()));
    }
  }
  TERN_TRY(fields.Outcome());
  return result;
}

Result<BaselineRun> ToRun(const Json& json, const std::string& where) {
  BaselineRun run;
  Fields fields(json, where);
  fields.Read("uuid", run.uuid);
  fields.Read("name", run.name);
  fields.Read("recorded_at", run.recorded_at);
  fields.Read("commit", run.commit);
  fields.Read("program", run.program);
  fields.Read("version", run.build.version);
  fields.Read("compiler", run.build.compiler);
  fields.Read("flags", run.build.flags);
  const Json &machine = fields.Object("machine"), &limits = fields.Array("limits"),
             &results = fields.Array("results");
  TERN_TRY(fields.Outcome());
  TERN_ASSIGN_OR_RETURN(run.machine, ToMachine(machine, where));
  for (size_t i = 0; i < limits.size(); ++i) {
    TERN_ASSIGN_OR_RETURN(Limit limit, ToLimit(limits[i], fmt::format("{}: limits[{}]", where, i)));
    run.limits.push_back(std::move(limit));
  }
  for (size_t i = 0; i < results.size(); ++i) {
    TERN_ASSIGN_OR_RETURN(BaselineResult result,
                          ToResult(results[i], fmt::format("{}: results[{}]", where, i)));
    run.results.push_back(std::move(result));
  }
  return run;
}

}  // namespace

std::string ExportRuns(const std::vector<BaselineRun>& runs) {
  Json list = Json::array();
  for (const BaselineRun& run : runs) list.push_back(ToJson(run));
  const Json document = {{"format", kFormat}, {"runs", std::move(list)}};
  return document.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<std::vector<BaselineRun>> ImportRuns(std::string_view json, const std::string& name) {
  const Json document = Json::parse(json, nullptr, false);
  if (!document.is_object() || document.value("format", Json()) != kFormat ||
      !document.contains("runs") || !document["runs"].is_array())
    return Fail(Code::kCorrupt, "{}: expected a JSON object with \"format\": \"{}\" and \"runs\"",
                name, kFormat);
  std::vector<BaselineRun> runs;
  for (const Json& run : document["runs"]) {
    TERN_ASSIGN_OR_RETURN(BaselineRun read,
                          ToRun(run, fmt::format("{}: runs[{}]", name, runs.size())));
    runs.push_back(std::move(read));
  }
  return runs;
}

}  // namespace tern
