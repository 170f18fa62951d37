#include "model/plan.h"

#include <gtest/gtest.h>

#include <map>

#include "engine/session.h"
#include "registry/registry.h"
#include "support/tiny_checkpoint.h"

namespace tern {
namespace {

using Lines = std::map<std::string, std::string>;

class PlanTest : public testing::Test {
 protected:
  PlanTest() { test::TinyCheckpoint().WriteTo(model_); }

  Lines PlanAt(OptimizationLevel level) {
    SessionOptions options;
    options.level = level;
    return Plan(std::move(options));
  }

  Lines Plan(SessionOptions options, const std::string& backend_name = "cpu") {
    auto backend = CreateBackend(backend_name, {.threads = 3, .level = options.level}).value();
    options.model = model_.path();
    options.need_tokenizer = false;
    const auto session = Session::Open(std::move(backend), options);
    EXPECT_TRUE(session) << session.error().message;
    Lines lines;
    for (const PlanLine& line : DescribePlan((*session)->plan())) lines[line.step] = line.choice;
    return lines;
  }

  const test::TempFolder model_, cache_;
};

TEST_F(PlanTest, EveryLevelSaysWhatItDoes) {
  const Lines none = PlanAt(OptimizationLevel::kNone);
  EXPECT_EQ(none.at("optimisation"), "none");
  EXPECT_EQ(none.at("kernel, any rows"), "gemm_t2_s8_n16k4_scalar");
  EXPECT_EQ(none.at("query, key, value"), "3 matrices: 8 x 8, 4 x 8, 4 x 8");
  EXPECT_EQ(none.at("gate, up"), "2 matrices: 12 x 8, 12 x 8");
  EXPECT_EQ(none.at("norm, quantise"), "two operations");
  EXPECT_EQ(none.at("gated activation"), "an operation of its own");

  const Lines all = Plan({});
  EXPECT_EQ(all.at("optimisation"), "aggressive");
  EXPECT_EQ(all.at("query, key, value"), "one matrix of 16 x 8");
  EXPECT_EQ(all.at("gate, up"), "one matrix of 24 x 8");
  EXPECT_EQ(all.at("norm, quantise"), "one operation");
  EXPECT_EQ(all.at("gated activation"), "with gate and up");

  Lines basic = PlanAt(OptimizationLevel::kBasic);
  EXPECT_EQ(basic.at("query, key, value"), none.at("query, key, value"));
  EXPECT_EQ(basic.at("norm, quantise"), "two operations");
  for (const auto& [step, choice] : all) {
    if (step.starts_with("kernel")) {
      EXPECT_EQ(basic.at(step), choice);
    }
  }
}

TEST_F(PlanTest, NamesThreadsHeadWeightsAndSizes) {
  SessionOptions options;
  options.context = 12;
  options.max_rows = 5;
  const Lines plan = Plan(options);
  EXPECT_TRUE(plan.at("threads").starts_with("outputs of a layer in 3 parts on "))
      << plan.at("threads");
  EXPECT_EQ(plan.at("head"), "the embedding's table, 5 x 8");
  EXPECT_EQ(plan.at("weights"), "packed (cache: off)");
  EXPECT_EQ(plan.at("batch"), "up to 5 rows a pass");
  EXPECT_TRUE(plan.at("context").starts_with("12 positions")) << plan.at("context");
  EXPECT_EQ(plan.at("backend"), "cpu");
  EXPECT_EQ(Plan({}, "reference").at("backend"), "reference");
}

TEST_F(PlanTest, ThePresetsShow) {
  SessionOptions memory = SessionOptions::OptimizedForMemory("");
  memory.cache.folder = cache_.path();
  EXPECT_TRUE(Plan(memory).at("weights").starts_with("packed, and kept in "));
  EXPECT_TRUE(Plan(memory).at("weights").starts_with("mapped from "));
  EXPECT_EQ(Plan(memory).at("batch"), "up to 16 rows a pass");  // no more than the context
  EXPECT_LT(memory.max_rows, int64_t{512});                     // what backends like at least
  EXPECT_LT(memory.default_context, SessionOptions().default_context);
  SessionOptions speed = SessionOptions::OptimizedForSpeed("");
  speed.cache.folder = cache_.path();
  speed.cache.min_bytes = 0;
  EXPECT_TRUE(Plan(speed).at("weights").starts_with("copied from "));
}

}  // namespace
}  // namespace tern
