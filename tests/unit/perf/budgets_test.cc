#include "perf/budgets.h"

#include <gtest/gtest.h>

#include "perf/callgrind.h"

namespace tern {
namespace {

// By hand after Valgrind's "Callgrind Format Specification": main calls f twice and malloc three
// times; f calls malloc once and realloc once, which calls malloc itself. Names are given once.
constexpr const char* kProfile =
    "# callgrind format\n"
    "version: 1\n"
    "creator: callgrind-3.19.0\n"
    "positions: line\n"
    "events: Ir\n"
    "\n"
    "ob=(1) /bin/x\n"
    "fl=(1) x.c\n"
    "fn=(1) main\n"
    "16 400\n"
    "+3 5\n"
    "cob=(2) /lib/y\n"
    "cfi=(2) y.c\n"
    "cfn=(2) f(int, char const*)\n"
    "calls=2 50 \n"
    "* 700\n"
    "cfn=(3) malloc\n"
    "calls=3 9\n"
    "16 90\n"
    "\n"
    "fn=(2)\n"
    "50 100\n"
    "cfn=(3)\n"
    "calls=1 9\n"
    "51 30\n"
    "cfn=(4) realloc\n"
    "calls=1 20\n"
    "52 60\n"
    "\n"
    "fn=(4)\n"
    "20 30\n"
    "cfn=(3)\n"
    "calls=1 9\n"
    "-2 30\n"
    "fn=(3)\n"
    "9 150\n"
    "\n"
    "totals: 685\n";

TEST(Callgrind, CountsSelfCostsAndAllocations) {
  const auto profile = ParseCallgrind(kProfile, "x");
  ASSERT_TRUE(profile) << profile.error().message;
  EXPECT_EQ(profile->total, 685u);
  EXPECT_EQ(profile->self.at("main"), 405u);
  EXPECT_EQ(profile->self.at("f(int, char const*)"), 100u);
  EXPECT_EQ(profile->self.at("malloc"), 150u);
  EXPECT_EQ(profile->Instructions(""), 685u);
  EXPECT_EQ(profile->Instructions("alloc"), 180u);
  EXPECT_EQ(profile->Instructions("nothing"), 0u);
  // Three of main, one of f, and f's realloc; not the malloc inside realloc.
  EXPECT_EQ(profile->allocations, 5u);
  uint64_t sum = 0;
  for (const auto& [name, count] : profile->self) sum += count;
  EXPECT_EQ(sum, profile->total);
}

TEST(Callgrind, WhatIsNoProfileIsNamed) {
  for (const char* text : {"", "hello", "fn=(1\n", "fn=(2)\ntotals: 1\n", "events: Ir Dr\n",
                           "fn=(1) a\n12\ntotals: 1\n", "calls=x 3\n", "totals: many\n"}) {
    const auto profile = ParseCallgrind(text, "some.file");
    ASSERT_FALSE(profile) << text;
    EXPECT_EQ(profile.error().code, Code::kCorrupt);
    EXPECT_EQ(profile.error().message.find("some.file"), 0u);
  }
}

constexpr const char* kBudgets = R"({
  "about": "a test",
  "budgets": [
    {"name": "run", "kind": "instructions", "run": ["run", "-n", "4"], "env": ["A=b"],
     "function": "Avx2", "accepted": 1000, "margin": 0.01},
    {"name": "size", "kind": "size", "file": "{program}", "accepted": 5, "margin": 0},
    {"name": "time", "kind": "time", "run": ["bench"], "row": "pp64", "field": "p50_ms",
     "accepted": 10, "margin": 0.1, "rounds": 6}
  ]
})";

TEST(Budgets, ReadAndAccepted) {
  const auto budgets = ParseBudgets(kBudgets, "b.json");
  ASSERT_TRUE(budgets) << budgets.error().message;
  ASSERT_EQ(budgets->size(), 3u);
  EXPECT_EQ((*budgets)[0].run, (std::vector<std::string>{"run", "-n", "4"}));
  EXPECT_EQ((*budgets)[0].limit(), 1010);
  EXPECT_EQ((*budgets)[2].rounds, 6);
  const auto changed = AcceptBudgets(kBudgets, "b.json", {1234.0, std::nullopt, std::nullopt});
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_NE(changed->find("\"about\": \"a test\""), std::string::npos);
  const auto again = ParseBudgets(*changed, "b.json");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ((*again)[0].accepted, 1234);
  EXPECT_EQ((*again)[0].function, "Avx2");
  EXPECT_EQ((*again)[1].accepted, 5);
  EXPECT_EQ(AcceptBudgets(*changed, "b.json", {}), *changed);
}

TEST(Budgets, WrongRowsAreNamed) {
  const auto message = [](std::string from, const std::string& to) {
    std::string text = kBudgets;
    text.replace(text.find(from), from.size(), to);
    const auto budgets = ParseBudgets(text, "b.json");
    EXPECT_FALSE(budgets) << to;
    return budgets ? "" : budgets.error().message;
  };
  EXPECT_EQ(message("\"margin\": 0.01", "\"x\": 1"),
            "b.json: budgets[0]: field 'x': found 1, which no budget has");
  EXPECT_EQ(message(", \"margin\": 0.01", ""), "b.json: budgets[0]: field 'margin' is missing");
  EXPECT_EQ(message("\"file\": \"{program}\", ", ""),
            "b.json: budgets[1]: field 'file' is missing");
  EXPECT_NE(message("\"time\", \"run\"", "\"tim\", \"run\"").find("budgets[2]: field 'kind'"),
            std::string::npos);
  EXPECT_NE(message("[\"bench\"]", "[]").find("budgets[2]: field 'run'"), std::string::npos);
  EXPECT_NE(message("1000", "-1").find("'accepted'"), std::string::npos);
  for (const char* text : {"", "[]", "{}", "{\"budgets\": 3}"})
    EXPECT_EQ(ParseBudgets(text, "b").error().code, Code::kCorrupt) << text;
}

TEST(Budgets, RepeatableFiguresAreHeldToTheMargin) {
  const Budget budget{.name = "x", .accepted = 1000, .margin = 0.01};
  EXPECT_EQ(JudgeBudget(budget, {1010}), BudgetOutcome::kWithin);
  EXPECT_EQ(JudgeBudget(budget, {1011}), BudgetOutcome::kOver);
  EXPECT_EQ(JudgeBudget(budget, {990}), BudgetOutcome::kWithin);
  EXPECT_EQ(JudgeBudget(budget, {989}), BudgetOutcome::kBelow);
  EXPECT_EQ(JudgeBudget(budget, {}), BudgetOutcome::kAbsent);
}

TEST(Budgets, TimesAreOverOnlyWithConfidence) {
  const Budget budget{.name = "x", .kind = BudgetKind::kTime, .accepted = 10, .margin = 0.1};
  EXPECT_EQ(JudgeBudget(budget, {9, 10, 9.5, 10.5, 9, 10}), BudgetOutcome::kWithin);
  EXPECT_EQ(JudgeBudget(budget, {12, 13, 12, 12.5, 13, 12}), BudgetOutcome::kOver);
  EXPECT_EQ(JudgeBudget(budget, {9, 13, 10, 12.5, 10, 12}), BudgetOutcome::kUnknown);
}

TEST(Budgets, KernelsAreFoundInWhatPtxasSays) {
  // As nvcc 12 -Xptxas -v prints it.
  constexpr const char* kText =
      "ptxas info    : 0 bytes gmem\n"
      "ptxas info    : Compiling entry function '_Z4gemvPKfS0_Pfi' for 'sm_90a'\n"
      "ptxas info    : Function properties for _Z4gemvPKfS0_Pfi\n"
      "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
      "ptxas info    : Used 32 registers, 380 bytes cmem[0]\n"
      "ptxas info    : Compiling entry function '_Z4gemmPKfS0_Pfi' for 'sm_90a'\n"
      "ptxas info    : Function properties for _Z4gemmPKfS0_Pfi\n"
      "    16 bytes stack frame, 12 bytes spill stores, 8 bytes spill loads\n"
      "ptxas info    : Used 255 registers, 380 bytes cmem[0]\n";
  const auto gemv = FindKernelResources(kText, "gemv"), gemm = FindKernelResources(kText, "gemm");
  ASSERT_TRUE(gemv && gemm);
  EXPECT_EQ(gemv->registers, 32);
  EXPECT_EQ(gemv->spill_bytes, 0);
  EXPECT_EQ(gemm->registers, 255);
  EXPECT_EQ(gemm->spill_bytes, 20);
  EXPECT_FALSE(FindKernelResources(kText, "attend"));
  EXPECT_FALSE(FindKernelResources("", ""));
}

}  // namespace
}  // namespace tern
