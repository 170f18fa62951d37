#include "tokenizer/merge_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern {
namespace {

using testing::ElementsAre;

std::vector<int32_t> Apply(const MergeTable& table, std::vector<int32_t> symbols) {
  table.Apply(symbols);
  return symbols;
}

TEST(MergeTable, TheLowestRankMergesFirst) {
  MergeTable table;
  table.Add(1, 2, 5, 12);
  table.Add(2, 3, 4, 23);
  table.Add(1, 23, 6, 123);
  EXPECT_THAT(Apply(table, {1, 2, 3}), ElementsAre(123));
  EXPECT_THAT(Apply(table, {1, 2, 1}), ElementsAre(12, 1));
}

TEST(MergeTable, EqualRanksMergeFromTheLeft) {
  MergeTable table;
  table.Add(1, 1, 0, 11);
  EXPECT_THAT(Apply(table, {1, 1, 1}), ElementsAre(11, 1));
  EXPECT_THAT(Apply(table, {1, 1, 1, 1, 1}), ElementsAre(11, 11, 1));
}

TEST(MergeTable, TheFirstEntryOfAPairIsKept) {
  MergeTable table;
  table.Add(1, 2, 0, 12);
  table.Add(1, 2, 1, 99);
  EXPECT_EQ(table.size(), 1U);
  EXPECT_THAT(Apply(table, {1, 2}), ElementsAre(12));
}

TEST(MergeTable, NegativeSymbolsAreSymbols) {
  MergeTable table;
  table.Add(-1, -1, 0, 7);
  EXPECT_THAT(Apply(table, {-1, -1, -1}), ElementsAre(7, -1));
}

TEST(MergeTable, AnEmptyTableChangesNothing) {
  EXPECT_THAT(Apply(MergeTable(), {1, 2}), ElementsAre(1, 2));
  EXPECT_THAT(Apply(MergeTable(), {}), ElementsAre());
}

TEST(MergeTable, ReservingKeepsTheEntries) {
  MergeTable table;
  for (int32_t i = 0; i < 1000; ++i) table.Add(i, i + 1, 0, 5000 + i);
  table.Reserve(100000);
  EXPECT_EQ(table.size(), 1000U);
  for (int32_t i = 0; i < 1000; ++i) EXPECT_THAT(Apply(table, {i, i + 1}), ElementsAre(5000 + i));
}

}  // namespace
}  // namespace tern
