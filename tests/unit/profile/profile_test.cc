#include "profile/profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/property_tree/xml_parser.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "profile/pictures.h"
#include "profile/summary.h"
#include "registry/registry.h"

namespace tern {
namespace {

using nlohmann::json;
using std::chrono::microseconds;
using testing::HasSubstr;

// Limits of 10 GB/s and 1 TOPS: a microsecond is 10 kB or a million operations.
ProfileLimits Limits() {
  ProfileLimits limits;
  limits.stream = 10;
  limits.stream_name = "dram read";
  limits.int8 = {{"int8 a", 1, 1, 8}, {"int8 b", 4, 9, 0}};
  limits.float32 = {"f32", 1};
  return limits;
}

struct Step {
  const char* op;
  int64_t layer;
  const void* weights;
  int microseconds;
  OpCost cost;
};

// One after the other, a microsecond apart.
std::vector<OpCall> Calls(const std::vector<Step>& steps) {
  std::vector<OpCall> calls;
  std::chrono::steady_clock::time_point now{};
  for (const Step& step : steps) {
    OpCall call{step.op, step.layer, 1, step.weights, step.cost, now, {}};
    now += microseconds(step.microseconds);
    call.end = now;
    now += microseconds(1);
    calls.push_back(call);
  }
  return calls;
}

ProfilePhase Phase(const std::vector<Step>& steps) {
  const Model model;
  ProfilePhase phase{.name = "decode", .test = {.generate = 1}, .pass_seconds = {}, .ops = {}};
  phase.ops = Assign(model, Limits(), Calls(steps));
  double micros = 0;
  for (const Step& step : steps) micros += step.microseconds + 1;
  phase.pass_seconds = {micros * 1e-6};
  phase.untraced_seconds = micros * 1e-6;
  return phase;
}

constexpr OpCost kBytes{400'000, 10, OpNumbers::kInt8};          // 40 us of memory
constexpr OpCost kArithmetic{10, 40'000'000, OpNumbers::kInt8};  // 40 us of compute

TEST(BoundOf, TheLargerLimitUnlessNeitherExplainsTheTime) {
  const auto bound = [](int micros, OpCost cost) {
    return BoundOf(Phase({{"Linear", 0, nullptr, micros, cost}}).ops[0]);
  };
  EXPECT_EQ(bound(50, kBytes), Bound::kMemory);
  EXPECT_EQ(bound(50, kArithmetic), Bound::kCompute);
  EXPECT_EQ(bound(399, kBytes), Bound::kMemory);
  EXPECT_EQ(bound(401, kBytes), Bound::kOverhead);
  EXPECT_EQ(bound(401, kArithmetic), Bound::kOverhead);
  EXPECT_EQ(bound(50, {}), Bound::kOverhead);
}

TEST(ProfileLimits, EachKindOfNumbersAndOfRowsHasItsPeak) {
  ProfileLimits limits = Limits();
  const auto name = [&limits](OpNumbers numbers, int64_t rows) {
    const auto* peak = limits.For({.numbers = numbers}, rows);
    return peak ? peak->name : "none";
  };
  EXPECT_EQ(name(OpNumbers::kInt8, 1), "int8 a");
  EXPECT_EQ(name(OpNumbers::kInt8, 8), "int8 a");
  EXPECT_EQ(name(OpNumbers::kInt8, 9), "int8 b");
  EXPECT_EQ(name(OpNumbers::kInt8, 1000), "int8 b");
  EXPECT_EQ(name(OpNumbers::kFloat, 1), "f32");
  EXPECT_EQ(name(OpNumbers::kBfloat16, 1), "f32");
  limits.bfloat16 = {"bf16", 1};
  EXPECT_EQ(name(OpNumbers::kBfloat16, 1), "bf16");
  limits = {};
  EXPECT_EQ(name(OpNumbers::kInt8, 1), "none");
  EXPECT_EQ(name(OpNumbers::kFloat, 1), "none");
}

TEST(Summarize, GroupsOperationsAndLayersAndAddsUp) {
  const ProfilePhase phase = Phase({{"Embed", kNoLayer, nullptr, 5, kBytes},
                                    {"Attention", 0, nullptr, 50, kBytes},
                                    {"RopeStoreKv", 0, nullptr, 10, {}},
                                    {"Attention", 1, nullptr, 70, kBytes},
                                    {"Logits", kNoLayer, nullptr, 20, kArithmetic}});
  const PhaseSummary summary = Summarize(phase);
  ASSERT_EQ(summary.ops.size(), 4u);
  const OpGroup& attention = summary.ops[0];
  EXPECT_EQ(attention.name, "attention");
  EXPECT_EQ(attention.calls, 2);
  EXPECT_NEAR(attention.seconds, 120e-6, 1e-12);
  EXPECT_NEAR(attention.GigabytesPerSecond(), 1e-9 * 800'000 / 120e-6, 1e-9);
  EXPECT_NEAR(attention.PercentOfLimit(), 100 * 80.0 / 120, 1e-9);
  EXPECT_EQ(attention.bound(), Bound::kMemory);
  ASSERT_EQ(summary.layers.size(), 3u);
  EXPECT_EQ(summary.layers[0].name, "layer 0");
  EXPECT_NEAR(summary.layers[0].seconds, 60e-6, 1e-12);
  EXPECT_EQ(summary.layers[1].name, "layer 1");
  EXPECT_EQ(summary.layers[2].name, kEndsPart);
  EXPECT_NEAR(summary.layers[2].seconds, 25e-6, 1e-12);
  EXPECT_NEAR(summary.all.seconds, 155e-6, 1e-12);
  EXPECT_NEAR(summary.Between(), 5e-6, 1e-12);
  EXPECT_NEAR(summary.PartsPercent(), 100 * 155.0 / 160, 1e-9);
}

TEST(BoundSentence, NamesWhatMostOfTheTimeWaitsFor) {
  const ProfileLimits limits = Limits();
  EXPECT_THAT(BoundSentence(Phase({{"Linear", 0, nullptr, 79, kBytes}}), limits),
              HasSubstr("Decode is bound by memory: 99% of its time"));
  EXPECT_THAT(BoundSentence(Phase({{"Linear", 0, nullptr, 79, kBytes}}), limits),
              HasSubstr("they move 5.1 GB/s, 51% of the 10.0 GB/s measured (dram read)"));
  EXPECT_THAT(BoundSentence(Phase({{"Linear", 0, nullptr, 79, kArithmetic}}), limits),
              HasSubstr("is bound by compute: 99% of its time"));
  // Many short operations with time between them.
  const std::vector<Step> short_ones(20, {"Linear", 0, nullptr, 1, {}});
  EXPECT_THAT(BoundSentence(Phase(short_ones), limits), HasSubstr("bound by overhead: 100%"));
  EXPECT_THAT(BoundSentence(Phase(short_ones), {}), HasSubstr("can't be said without the limits"));
}

// The built-in model, really run.
class RunProfileTest : public testing::Test {
 protected:
  static Profile Run(const ProfileOptions& options, const ProfileLimits& limits,
                     OptimizationLevel level = OptimizationLevel::kAggressive) {
    OpRecorder recorder;
    auto backend = CreateBackend("cpu", {.threads = 2, .level = level});
    EXPECT_TRUE(backend);
    const auto session = Session::Open(CreateTraceBackend(std::move(*backend), recorder),
                                       {.model = TERN_SOURCE_DIR "/models/tern-stories.gguf",
                                        .need_tokenizer = false,
                                        .context = 64,
                                        .logit_rows = 2,
                                        .level = level});
    EXPECT_TRUE(session) << session.error().message;
    const auto profile = RunProfile(**session, recorder, SubjectOf(**session, {}), limits, options);
    EXPECT_TRUE(profile) << profile.error().message;
    return profile ? *profile : Profile{};
  }

  static constexpr ProfileOptions kShort{
      .prompt = 8, .generate = 3, .depth = 4, .sequences = 2, .repetitions = 2};
};

TEST_F(RunProfileTest, HasEveryOperationOfEveryPassWithItsRole) {
  const Profile profile = Run(kShort, Limits());
  ASSERT_EQ(profile.phases.size(), 2u);
  EXPECT_EQ(profile.phases[0].name, "prefill");
  EXPECT_EQ(profile.phases[0].pass_seconds.size(), 1u);
  EXPECT_EQ(profile.phases[1].pass_seconds.size(), 3u);
  constexpr int64_t kLayers = 9;
  const std::set<std::string> in_layers = {
      "norm qkv", "linear qkv",   "rope, store kv", "attention", "norm o",
      "linear o", "norm gate_up", "linear gate_up", "norm down", "linear down"};
  for (const ProfilePhase& phase : profile.phases) {
    const auto passes = static_cast<int64_t>(phase.pass_seconds.size());
    std::map<std::string, int64_t> calls;
    for (const ProfiledOp& op : phase.ops) ++calls[op.role.name];
    ASSERT_EQ(calls.size(), in_layers.size() + 3);
    for (const std::string& name : in_layers) EXPECT_EQ(calls[name], kLayers * passes) << name;
    for (const char* name : {"embedding", "norm head", "head"}) EXPECT_EQ(calls[name], passes);
    const PhaseSummary summary = Summarize(phase);
    EXPECT_GT(summary.all.seconds, 0);
    EXPECT_LE(summary.all.seconds, summary.seconds);
    EXPECT_EQ(summary.layers.size(), static_cast<size_t>(kLayers + 1));
  }
}

TEST_F(RunProfileTest, SeparateNormsAndMatricesHaveTheirRolesToo) {
  const Profile profile = Run({.prompt = 4, .generate = 0}, {}, OptimizationLevel::kNone);
  ASSERT_EQ(profile.phases.size(), 1u);
  std::map<std::string, int64_t> calls;
  for (const ProfiledOp& op : profile.phases[0].ops) ++calls[op.role.name];
  EXPECT_EQ(calls["linear qkv"], 3 * 9);
  EXPECT_EQ(calls["linear gate_up"], 2 * 9);
  EXPECT_EQ(calls["gate"], 9);
  EXPECT_EQ(calls["norm qkv"], 2 * 9);
}

TEST_F(RunProfileTest, TheTextAndTheJsonHaveTheSameRows) {
  const Profile profile = Run(kShort, Limits());
  const std::string text = ProfileText(profile);
  EXPECT_THAT(text, HasSubstr("| linear gate_up | 9 |"));
  EXPECT_THAT(text, HasSubstr("| layer 8 |"));
  const json data = json::parse(ProfileJson(profile));
  ASSERT_EQ(data["phases"].size(), 2u);
  for (const json& phase : data["phases"]) {
    double seconds = 0;
    for (const json& op : phase["ops"]) seconds += op["seconds"].get<double>();
    EXPECT_NEAR(seconds, phase["operations_seconds"].get<double>(), 1e-9);
    EXPECT_TRUE(phase["bound"].is_string());
    EXPECT_THAT(text, HasSubstr(phase["sentence"].get<std::string>()));
  }
  EXPECT_TRUE(json::parse(ProfileJson(Run(kShort, {})))["phases"][0]["bound"].is_null());
}

TEST_F(RunProfileTest, TheTraceNestsOperationsInLayersInPasses) {
  const json trace = json::parse(ChromeTrace(Run(kShort, Limits())));
  // By the rules of the Trace Event Format: complete events of a thread nest.
  std::vector<std::pair<double, std::string>> open;  // end, category
  std::map<std::string, int> count;
  double last = -1;
  for (const json& event : trace["traceEvents"]) {
    ASSERT_TRUE(event["name"].is_string());
    if (event["ph"] == "M") continue;
    ASSERT_EQ(event["ph"], "X");
    const double begin = event["ts"], end = begin + event["dur"].get<double>();
    constexpr double kRounding = 1e-6;  // microseconds
    EXPECT_GE(begin, last - kRounding);
    EXPECT_GE(end, begin);
    last = begin;
    while (!open.empty() && open.back().first <= begin + kRounding) open.pop_back();
    EXPECT_TRUE(open.empty() || end <= open.back().first + kRounding);
    const std::string category = event["cat"];
    ++count[category];
    EXPECT_EQ(category == "pass", open.empty());
    EXPECT_TRUE(category != "layer" || open.back().second == "pass");
    open.emplace_back(end, category);
  }
  EXPECT_EQ(count["pass"], 4);
  EXPECT_EQ(count["layer"], 4 * 9);
  EXPECT_EQ(count["operation"], 4 * (9 * 10 + 3));
}

TEST_F(RunProfileTest, ThePicturesAreWellFormedWithAndWithoutLimits) {
  for (const ProfileLimits& limits : {Limits(), ProfileLimits{}}) {
    const Profile profile = Run(kShort, limits);
    for (const std::string& picture : {RooflineSvg(profile, SvgUse::kFile), FlameSvg(profile)}) {
      std::istringstream in(picture);
      boost::property_tree::ptree tree;
      boost::property_tree::read_xml(in, tree);
      EXPECT_EQ(tree.size(), 1u);
    }
    EXPECT_THAT(FlameSvg(profile), HasSubstr("decode / feed-forward / linear down / layer 3: "));
    EXPECT_THAT(RooflineSvg(profile, SvgUse::kInline), HasSubstr("decode attention: "));
  }
  const Profile nothing;
  EXPECT_THAT(RooflineSvg(nothing, SvgUse::kFile), HasSubstr("no data"));
  EXPECT_THAT(FlameSvg(nothing), HasSubstr("</svg>"));
  EXPECT_TRUE(json::accept(ChromeTrace(nothing)));
}

TEST_F(RunProfileTest, ItCanBeStopped) {
  OpRecorder recorder;
  const auto session = Session::Open(
      CreateTraceBackend(std::move(*CreateBackend("cpu", {.threads = 1})), recorder),
      {.model = TERN_SOURCE_DIR "/models/tern-stories.gguf", .need_tokenizer = false});
  ASSERT_TRUE(session);
  int asked = 0;
  const auto profile = RunProfile(**session, recorder, {}, {}, {.prompt = 2, .generate = 2},
                                  [&asked](const std::string&) { return ++asked < 3; });
  ASSERT_FALSE(profile);
  EXPECT_EQ(profile.error().code, Code::kCancelled);
  EXPECT_EQ(asked, 3);
}

}  // namespace
}  // namespace tern
