#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <numeric>
#include <utility>

#include "base/rng.h"

namespace tern {
namespace {

SchedulerOptions Options(int64_t blocks, int64_t budget = 64, int64_t max_sequences = 4) {
  return {.blocks = blocks,
          .token_budget = budget,
          .logit_rows = budget,
          .max_sequences = max_sequences,
          .context = blocks * kBlockPositions,
          .prefix_cache = true,
          .aging_steps = 16};
}

std::vector<TokenId> Prompt(TokenId first, int64_t count) {
  std::vector<TokenId> ids(static_cast<size_t>(count));
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

const PlanItem* ItemOf(const Plan& plan, SequenceId id) {
  const auto at = std::find_if(plan.items.begin(), plan.items.end(),
                               [&](const PlanItem& item) { return item.id == id; });
  return at == plan.items.end() ? nullptr : &*at;
}

// Runs a plan: every output draws token 1.
void CommitAll(Scheduler& scheduler, const Plan& plan) {
  const TokenId one = 1;
  for (const PlanItem& item : plan.items)
    scheduler.Commit(item, {&one, item.logits > 0 && !plan.embedding ? 1u : 0u});
}

TEST(Scheduler, DecodeRowsComeFirstAndPromptsShareTheRest) {
  Scheduler s(Options(64));
  s.Add({.id = 1, .tokens = Prompt(0, 10)});
  Plan plan = s.Next();
  ASSERT_EQ(plan.items.size(), 1u);
  EXPECT_EQ(plan.items[0].logits, 1);
  EXPECT_EQ(plan.logit_rows, (std::vector<int32_t>{9}));
  CommitAll(s, plan);
  s.Add({.id = 2, .tokens = Prompt(100, 1000)});
  s.Add({.id = 3, .tokens = Prompt(5000, 20)});
  plan = s.Next();
  ASSERT_EQ(plan.items.size(), 3u);
  EXPECT_EQ(plan.items[0].id, 1u);
  EXPECT_EQ(plan.items[0].rows, 1);
  // 63 rows are left: the short prompt is done at once, the long one has what it leaves.
  EXPECT_EQ(ItemOf(plan, 3)->rows, 20);
  EXPECT_EQ(ItemOf(plan, 3)->logits, 1);
  EXPECT_EQ(ItemOf(plan, 2)->rows, 43);
  EXPECT_EQ(ItemOf(plan, 2)->logits, 0);
  EXPECT_EQ(plan.tokens.size(), 64u);
}

TEST(Scheduler, TheFirstPromptGetsHalfHoweverManyShortOnesCome) {
  Scheduler s(Options(64, 64, 8));
  s.Add({.id = 1, .tokens = Prompt(0, 500)});
  for (SequenceId id = 2; id < 9; ++id) s.Add({.id = id, .tokens = Prompt(1000, 60)});
  const Plan plan = s.Next();
  EXPECT_EQ(ItemOf(plan, 1)->rows, 32);
}

TEST(Scheduler, APublishedPromptIsNotRunAgain) {
  Scheduler s(Options(16, 512));
  s.Add({.id = 1, .tokens = Prompt(0, 100)});
  CommitAll(s, s.Next());
  s.Remove(1);
  s.Add({.id = 2, .tokens = Prompt(0, 100)});
  Plan plan = s.Next();
  EXPECT_EQ(plan.items[0].position, 96);
  EXPECT_EQ(plan.items[0].rows, 4);
  EXPECT_EQ(s.CachedTokens(2), 96);
  // A prompt of whole blocks: the last one is run for its output.
  s.Add({.id = 3, .tokens = Prompt(0, 96)});
  s.Add({.id = 4, .tokens = Prompt(0, 100), .cache = false});
  plan = s.Next();
  EXPECT_EQ(ItemOf(plan, 3)->position, 64);
  EXPECT_EQ(ItemOf(plan, 4)->position, 0);
}

TEST(Scheduler, AnswersToOnePromptShareItsBlocksAndCopyThePartialOne) {
  Scheduler s(Options(16, 512));
  s.Add({.id = 1, .tokens = Prompt(0, 70)});
  s.Add({.id = 2, .tokens = Prompt(0, 70), .leader = 1});
  s.Add({.id = 3, .tokens = Prompt(0, 70), .leader = 1});
  Plan plan = s.Next();
  ASSERT_EQ(plan.items.size(), 1u);
  CommitAll(s, plan);
  plan = s.Next();
  ASSERT_EQ(plan.items.size(), 3u);
  EXPECT_EQ(ItemOf(plan, 2)->position, 69);
  EXPECT_EQ(ItemOf(plan, 2)->rows, 1);
  // Three write into the third block: two of them into copies.
  ASSERT_EQ(plan.copies.size(), 2u);
  EXPECT_EQ(plan.copies[0].from, plan.copies[1].from);
  EXPECT_EQ(s.allocator().used(), 5);
  std::set<BlockId> last;
  for (const auto& table : plan.tables) {
    EXPECT_EQ(table[0], plan.tables[0][0]);
    last.insert(table[2]);
  }
  EXPECT_EQ(last.size(), 3u);
}

TEST(Scheduler, WhenBlocksRunOutTheYoungestOfTheLowestPriorityStartsOver) {
  Scheduler s(Options(4, 512));
  s.Add({.id = 1, .tokens = Prompt(0, 40)});
  s.Add({.id = 2, .tokens = Prompt(200, 40), .priority = 1});
  CommitAll(s, s.Next());
  EXPECT_EQ(s.active(), 2);
  for (int i = 0; i < 40; ++i) CommitAll(s, s.Next());
  EXPECT_EQ(s.preempted(), 1u);
  EXPECT_TRUE(s.IsDecoding(2));
  EXPECT_FALSE(s.IsDecoding(1));
  const auto tokens = std::ssize(s.Tokens(1));
  s.Remove(2);
  const Plan plan = s.Next();
  ASSERT_EQ(plan.items.size(), 1u);
  EXPECT_EQ(plan.items[0].id, 1u);
  EXPECT_EQ(plan.items[0].position + plan.items[0].rows, tokens);
}

TEST(Scheduler, WhatAPreemptedSequenceHadComesBackFromTheHost) {
  SchedulerOptions options = Options(4, 512);
  options.swap_slots = 3;
  Scheduler s(options);
  s.Add({.id = 1, .tokens = Prompt(0, 40), .cache = false});
  s.Add({.id = 2, .tokens = Prompt(200, 40), .priority = 1});
  Plan plan = s.Next();
  while (plan.outs.empty()) {
    CommitAll(s, plan);
    plan = s.Next();
  }
  EXPECT_EQ(s.preempted(), 1u);
  ASSERT_EQ(plan.outs.size(), 1u);
  EXPECT_EQ(plan.outs[0].id, 1u);
  EXPECT_EQ(plan.outs[0].moves.size(), 2u);
  EXPECT_EQ(s.swap_used(), 2);
  EXPECT_EQ(ItemOf(plan, 1), nullptr);
  const auto tokens = std::ssize(s.Tokens(1));
  s.Remove(2);
  plan = s.Next();
  ASSERT_EQ(plan.ins.size(), 1u);
  EXPECT_EQ(plan.ins[0].id, 1u);
  EXPECT_EQ(plan.ins[0].moves.size(), 2u);
  EXPECT_TRUE(s.IsArriving(1));
  EXPECT_TRUE(plan.items.empty()) << "it runs before it is there";
  EXPECT_TRUE(s.Next().items.empty());
  s.Arrived(1);
  plan = s.Next();
  ASSERT_EQ(plan.items.size(), 1u);
  EXPECT_EQ(plan.items[0].position, tokens - 1);
  EXPECT_EQ(plan.items[0].rows, 1);
  EXPECT_EQ(s.swap_used(), 0);
}

TEST(Scheduler, WhoLeavesOnTheWayBackLeavesItsBlocksToNobodyTooEarly) {
  SchedulerOptions options = Options(4, 512);
  options.swap_slots = 4;
  Scheduler s(options);
  s.Add({.id = 1, .tokens = Prompt(0, 100)});
  CommitAll(s, s.Next());
  s.Pause(1);
  s.Add({.id = 2, .tokens = Prompt(200, 100)});
  Plan plan = s.Next();
  ASSERT_EQ(plan.outs.size(), 1u) << "who waits gives its place";
  CommitAll(s, plan);
  s.Remove(2);
  s.Resume(1);
  plan = s.Next();
  ASSERT_EQ(plan.ins.size(), 1u);
  EXPECT_FALSE(plan.await_moves);
  s.Remove(1);
  s.Add({.id = 3, .tokens = Prompt(400, 100)});
  plan = s.Next();
  EXPECT_EQ(plan.items.size(), 1u);
  EXPECT_TRUE(plan.await_moves);
}

TEST(Scheduler, WithoutRoomOnTheHostOrWithMovesThatFailedItStartsOver) {
  for (const int64_t slots : {1, 3}) {
    SchedulerOptions options = Options(4, 512);
    options.swap_slots = slots;
    Scheduler s(options);
    s.Add({.id = 1, .tokens = Prompt(0, 40), .cache = false});
    s.Add({.id = 2, .tokens = Prompt(200, 40), .priority = 1});
    while (s.preempted() == 0) CommitAll(s, s.Next());
    s.DropSwapped(1);
    EXPECT_EQ(s.swap_used(), 0);
    s.Remove(2);
    const Plan plan = s.Next();
    ASSERT_EQ(plan.items.size(), 1u);
    EXPECT_EQ(plan.items[0].position, 0);
  }
}

TEST(Scheduler, APausedSequenceHoldsNobodyUp) {
  Scheduler s(Options(4, 512, 1));
  s.Add({.id = 1, .tokens = Prompt(0, 60)});
  CommitAll(s, s.Next());
  s.Pause(1);
  EXPECT_TRUE(s.Next().items.empty());
  s.Add({.id = 2, .tokens = Prompt(500, 100)});  // wants all blocks, and the only place
  const Plan plan = s.Next();
  ASSERT_EQ(plan.items.size(), 1u);
  EXPECT_EQ(plan.items[0].id, 2u);
  s.Remove(2);
  s.Resume(1);
  EXPECT_EQ(s.Next().items.size(), 1u);
}

TEST(Scheduler, WaitingLongCountsAsPriority) {
  Scheduler s(Options(4, 64, 1));
  s.Add({.id = 1, .tokens = Prompt(0, 4)});
  SequenceId next = 2;
  int64_t steps = 0;
  for (bool low_ran = false; !low_ran; ++steps) {
    ASSERT_LT(steps, 200);
    s.Add({.id = next++, .tokens = Prompt(50, 4), .priority = 5});
    const Plan plan = s.Next();
    CommitAll(s, plan);
    for (const PlanItem& item : plan.items) {
      low_ran |= item.id == 1;
      s.Remove(item.id);
    }
  }
  EXPECT_GT(steps, 5 * 16 - 2);
}

TEST(Scheduler, DraftsAreRowsWithOutputsAndOnlyTheAcceptedCount) {
  Scheduler s(Options(8, 64));
  s.Add({.id = 1, .tokens = Prompt(0, 30)});
  CommitAll(s, s.Next());
  s.SetDraft(1, {7, 8, 9});
  Plan plan = s.Next();
  ASSERT_EQ(plan.items.size(), 1u);
  EXPECT_EQ(plan.items[0].drafts, 3);
  EXPECT_EQ(plan.items[0].logits, 4);
  EXPECT_EQ(plan.tokens, (std::vector<TokenId>{1, 7, 8, 9}));
  EXPECT_EQ(plan.positions, (std::vector<int32_t>{30, 31, 32, 33}));
  EXPECT_EQ(plan.tables[0].size(), 2u);
  s.Commit(plan.items[0], std::vector<TokenId>{7, 5});  // 7 accepted, 8 was not
  plan = s.Next();
  EXPECT_EQ(plan.tokens, (std::vector<TokenId>{5}));
  EXPECT_EQ(plan.positions, (std::vector<int32_t>{32}));
}

TEST(Scheduler, EmbeddingsTakeTurnsWithText) {
  Scheduler s(Options(8, 64));
  s.Add({.id = 1, .tokens = Prompt(0, 30)});
  s.Add({.id = 2, .tokens = Prompt(0, 100), .embedding = true});
  int text = 0, embedding = 0;
  for (int i = 0; i < 4; ++i) {
    const Plan plan = s.Next();
    ASSERT_EQ(plan.items.size(), 1u);
    (plan.embedding ? embedding : text) += 1;
    EXPECT_TRUE(!plan.embedding || plan.items[0].logits == plan.items[0].rows);
    CommitAll(s, plan);
  }
  EXPECT_EQ(text, 2);
  EXPECT_EQ(embedding, 2);
}

TEST(Scheduler, DeadlinesThatHavePassed) {
  Scheduler s(Options(8));
  s.Add({.id = 1, .tokens = Prompt(0, 3), .deadline = 10});
  s.Add({.id = 2, .tokens = Prompt(0, 3), .deadline = 5});
  s.Add({.id = 3, .tokens = Prompt(0, 3)});
  EXPECT_EQ(s.NextDeadline(), 5);
  EXPECT_TRUE(s.Expired(4).empty());
  EXPECT_EQ(s.Expired(10), (std::vector<SequenceId>{2, 1}));
  s.Remove(2);
  EXPECT_EQ(s.NextDeadline(), 10);
}

// A cache in the small: what is written in each block, to see that every row of a plan finds all
// earlier tokens of its own sequence, in blocks that nobody else writes.
class ShadowCache {
 public:
  explicit ShadowCache(int64_t blocks)
      : content_(static_cast<size_t>(blocks), std::vector<TokenId>(kBlockPositions, -1)) {}

  // Moves back to blocks are made as late as they may be.
  void Run(const Plan& plan, const Scheduler& scheduler) {
    if (plan.await_moves) LandAll();
    for (const BlockMoves& out : plan.outs)
      for (const auto& [block, slot] : out.moves) host_[slot] = At(block);
    for (const BlockMoves& in : plan.ins) {
      for (const auto& [block, slot] : in.moves) At(block).assign(kBlockPositions, -2);
      under_way_.push_back(in);
    }
    for (const BlockCopy& copy : plan.copies) At(copy.to) = At(copy.from);
    std::map<BlockId, size_t> writers;
    for (size_t r = 0; r < plan.tokens.size(); ++r) {
      const auto item = static_cast<size_t>(plan.sequences[r]);
      const auto p = static_cast<size_t>(plan.positions[r]);
      const BlockId block = plan.tables[item][p / kBlockPositions];
      EXPECT_EQ(writers.emplace(block, item).first->second, item);
      At(block)[p % kBlockPositions] = plan.tokens[r];
    }
    for (size_t i = 0; i < plan.items.size(); ++i) {
      const PlanItem& item = plan.items[i];
      const auto tokens = scheduler.Tokens(item.id);
      const auto end = static_cast<size_t>(item.position + item.rows - item.drafts);
      for (size_t p = 0; p < end; ++p)
        ASSERT_EQ(At(plan.tables[i][p / kBlockPositions])[p % kBlockPositions], tokens[p]);
    }
  }

  /// The first moves that are left are made.
  void Land() {
    if (under_way_.empty()) return;
    const BlockMoves in = under_way_.front();
    under_way_.pop_front();
    for (const auto& [block, slot] : in.moves) At(block) = host_.at(slot);
    landed_.push_back(in.id);
  }
  void LandAll() {
    while (!under_way_.empty()) Land();
  }
  /// Tells the scheduler. Returns for how many sequences that was news.
  int64_t Report(Scheduler& scheduler) {
    int64_t news = 0;
    for (const SequenceId id : std::exchange(landed_, {})) {
      const bool again = std::any_of(under_way_.begin(), under_way_.end(),
                                     [&](const BlockMoves& in) { return in.id == id; });
      if (again) continue;
      news += scheduler.IsArriving(id);
      scheduler.Arrived(id);
    }
    return news;
  }
  bool idle() const { return under_way_.empty(); }

 private:
  std::vector<TokenId>& At(BlockId block) { return content_[static_cast<size_t>(block)]; }
  std::vector<std::vector<TokenId>> content_;
  std::map<SwapSlot, std::vector<TokenId>> host_;
  std::deque<BlockMoves> under_way_;
  std::vector<SequenceId> landed_;
};

// Requests come, end, are cancelled, paused and late at random, with little memory. `returned`
// counts sequences that went on with what came back from the host.
void RunScript(uint64_t seed, int64_t& returned) {
  SCOPED_TRACE(seed);
  Rng random(seed);
  const auto below = [&](int64_t n) {
    return static_cast<int64_t>(random.Next() % static_cast<uint64_t>(n));
  };
  SchedulerOptions options = Options(2 + below(20), 1 + below(100), 1 + below(6));
  options.logit_rows = options.max_sequences + below(30);
  options.prefix_cache = below(4) > 0;
  options.swap_slots = below(3) * below(30);
  Scheduler s(options);
  ShadowCache cache(options.blocks);
  struct Live {
    int64_t left;  // tokens to sample
    bool paused = false, embedding = false;
    int64_t done = 0;  // rows of an embedding
  };
  std::map<SequenceId, Live> live;
  SequenceId next = 1;
  int64_t ended = 0, now = 0;
  const auto remove = [&](SequenceId id) {
    s.Remove(id);
    live.erase(id);
    ++ended;
  };
  const auto add = [&] {
    const int64_t longest = std::min<int64_t>(options.context - 1, 200);
    NewSequence base{.tokens = std::vector<TokenId>(static_cast<size_t>(1 + below(longest))),
                     .priority = static_cast<int>(below(3)),
                     .cache = below(5) > 0,
                     .embedding = below(8) == 0};
    TokenId run = 0;  // few different prefixes
    for (size_t i = 0; i < base.tokens.size(); ++i) {
      if (i % kBlockPositions == 0) run = static_cast<TokenId>(below(2));
      base.tokens[i] = run;
    }
    if (below(6) == 0) base.deadline = now + below(60);
    const SequenceId leader = next;
    const int64_t answers = base.embedding ? 1 : 1 + std::max<int64_t>(0, below(6) - 3);
    for (int64_t i = 0; i < answers; ++i) {
      NewSequence one = base;
      one.id = next++;
      if (i > 0) one.leader = leader;
      const int64_t room = options.context - std::ssize(one.tokens);
      live[one.id] = {1 + below(std::max<int64_t>(1, std::min<int64_t>(room, 60))), false,
                      one.embedding};
      s.Add(std::move(one));
    }
  };
  const auto pick = [&] {
    auto at = live.begin();
    std::advance(at, below(std::ssize(live)));
    return at;
  };
  for (int64_t step = 0; step < 300 || !live.empty(); ++step, ++now) {
    ASSERT_LT(step, 20000) << "requests that never end";
    const bool open = step < 300;
    if (open && below(3) == 0 && live.size() < 30) add();
    if (open && !live.empty() && below(10) == 0) remove(pick()->first);
    if (!live.empty() && below(6) == 0) {
      const auto at = pick();
      at->second.paused = open && !at->second.paused;
      at->second.paused ? s.Pause(at->first) : s.Resume(at->first);
    }
    for (const SequenceId id : s.Expired(now)) remove(id);
    for (const auto& [id, one] : live)
      if (s.IsDecoding(id) && below(3) == 0)
        s.SetDraft(id, std::vector<TokenId>(static_cast<size_t>(below(5)), 1));
    if (below(3) == 0) cache.Land();
    returned += cache.Report(s);
    Plan plan = s.Next();
    for (auto* moves : {&plan.outs, &plan.ins}) {  // some fail
      if (moves->empty() || below(20) > 0) continue;
      const SequenceId lost = moves->front().id;
      s.DropSwapped(lost);
      for (auto* all : {&plan.outs, &plan.ins})
        std::erase_if(*all, [&](const BlockMoves& one) { return one.id == lost; });
    }
    ASSERT_LE(std::ssize(plan.tokens), options.token_budget);
    ASSERT_LE(std::ssize(plan.logit_rows), options.logit_rows);
    cache.Run(plan, s);
    ASSERT_TRUE(s.active() == 0 || !plan.items.empty() || !cache.idle()) << "nothing runs";
    if (plan.items.empty()) cache.LandAll();
    if (testing::Test::HasFatalFailure()) return;
    if (open && !live.empty() && below(10) == 0) remove(pick()->first);  // while it runs
    for (const PlanItem& item : plan.items) {
      const auto at = live.find(item.id);
      if (at == live.end()) continue;
      Live& one = at->second;
      ASSERT_FALSE(one.paused);
      std::vector<TokenId> sampled;
      if (!one.embedding && item.logits > 0) {
        const int64_t most = std::min(1 + below(item.drafts + 1), one.left);
        sampled.assign(static_cast<size_t>(most), 1);
        one.left -= most;
      }
      s.Commit(item, sampled);
      if (one.embedding) one.done = item.position + item.rows;
      if (one.embedding ? one.done == std::ssize(s.Tokens(item.id)) : one.left == 0)
        remove(item.id);
    }
    const Status ok = s.CheckIntegrity();
    ASSERT_TRUE(ok) << ok.error().message;
  }
  EXPECT_EQ(ended, static_cast<int64_t>(next) - 1);
  EXPECT_EQ(s.size(), 0);
  EXPECT_EQ(s.allocator().used(), 0);
  EXPECT_EQ(s.swap_used(), 0);
}

TEST(Scheduler, RandomScriptsEndWithNothingLeft) {
  int64_t returned = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    RunScript(seed, returned);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(returned, 100);
}

}  // namespace
}  // namespace tern
