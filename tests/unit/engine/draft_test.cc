#include "engine/draft.h"

#include <gtest/gtest.h>

namespace tern {
namespace {

using Tokens = std::vector<TokenId>;

TEST(ProposeDraft, WhatFollowedTheLastTokensTheLastTime) {
  const Tokens text = {1, 2, 3, 9, 1, 2, 4, 5, 6, 1, 2};
  EXPECT_EQ(ProposeDraft(text, 3), (Tokens{4, 5, 6}));
  EXPECT_EQ(ProposeDraft(text, 1), (Tokens{4}));
  EXPECT_EQ(ProposeDraft(text, 9), (Tokens{4, 5, 6, 1, 2}));
}

TEST(ProposeDraft, TheLongestRunDecides) {
  // 7 1 2 was followed by 3, later 1 2 alone by 4.
  EXPECT_EQ(ProposeDraft(Tokens{7, 1, 2, 3, 1, 2, 4, 7, 1, 2}, 1), (Tokens{3}));
}

TEST(ProposeDraft, NothingWhereNothingRepeats) {
  EXPECT_TRUE(ProposeDraft(Tokens{}, 4).empty());
  EXPECT_TRUE(ProposeDraft(Tokens{1}, 4).empty());
  EXPECT_TRUE(ProposeDraft(Tokens{1, 2, 3, 2}, 4).empty());  // one token is no run
  EXPECT_TRUE(ProposeDraft(Tokens{1, 2, 1, 2}, 0).empty());
}

TEST(ProposeDraft, ARunMayOverlapItself) {
  EXPECT_EQ(ProposeDraft(Tokens{5, 5, 5}, 4), (Tokens{5}));
}

TEST(DraftLength, GrowsWithSuccessAndShrinksWithout) {
  DraftLength draft(8);
  draft.Record(8, 0);
  EXPECT_EQ(draft.length(), 4);
  for (int i = 0; i < 5; ++i) draft.Record(4, 0);
  EXPECT_EQ(draft.length(), 1);
  draft.Record(0, 0);
  EXPECT_EQ(draft.length(), 1);
  draft.Record(1, 1);
  draft.Record(2, 1);
  EXPECT_EQ(draft.length(), 2);
  for (int i = 0; i < 5; ++i) draft.Record(2, 2);
  EXPECT_EQ(draft.length(), 8);
}

}  // namespace
}  // namespace tern
