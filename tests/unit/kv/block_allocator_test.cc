#include "kv/block_allocator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/rng.h"

namespace tern {
namespace {

std::vector<TokenId> Ramp(TokenId first, int64_t count) {
  std::vector<TokenId> ids(static_cast<size_t>(count));
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

TEST(BlockAllocator, GivesEachBlockOnceAndThenNothing) {
  BlockAllocator blocks(3);
  std::vector<BlockId> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(blocks.Allocate().value());
  EXPECT_EQ(ids, (std::vector<BlockId>{0, 1, 2}));
  EXPECT_FALSE(blocks.Allocate());
  blocks.Free(1);
  EXPECT_EQ(blocks.Allocate(), 1);
}

TEST(BlockAllocator, ASharedBlockIsFreeWhenItsLastOwnerHasFreedIt) {
  BlockAllocator blocks(1);
  const BlockId block = blocks.Allocate().value();
  blocks.Share(block);
  blocks.Free(block);
  EXPECT_FALSE(blocks.Allocate());
  blocks.Free(block);
  EXPECT_EQ(blocks.used(), 0);
  EXPECT_TRUE(blocks.Allocate());
}

TEST(BlockAllocator, APrefixIsFoundBlockByBlockAfterItsOwnerHasGone) {
  BlockAllocator blocks(4);
  const auto tokens = Ramp(0, 2 * kBlockPositions);
  const BlockId a = blocks.Allocate().value(), b = blocks.Allocate().value();
  const PrefixId p = blocks.Publish(kNoPrefix, a, std::span(tokens).first(kBlockPositions));
  const PrefixId q = blocks.Publish(p, b, std::span(tokens).last(kBlockPositions));
  blocks.Free(b);
  blocks.Free(a);
  EXPECT_EQ(blocks.cached(), 2);
  EXPECT_EQ(blocks.used(), 0);

  auto longer = tokens;
  longer.push_back(7);
  const auto match = blocks.MatchPrefix(longer);
  EXPECT_EQ(match.blocks, (std::vector<BlockId>{a, b}));
  EXPECT_EQ(match.prefixes, (std::vector<PrefixId>{p, q}));
  EXPECT_EQ(blocks.used(), 2);
  // One token less is one block less; another token in the first block is none.
  EXPECT_EQ(blocks.MatchPrefix(std::span(tokens).first(tokens.size() - 1)).blocks.size(), 1u);
  longer[3] = 99;
  EXPECT_TRUE(blocks.MatchPrefix(longer).blocks.empty());
  // The second block's tokens alone are another prefix.
  EXPECT_TRUE(blocks.MatchPrefix(std::span(tokens).last(kBlockPositions)).blocks.empty());
}

TEST(BlockAllocator, TheLeastRecentlyFreedIsEvicted) {
  BlockAllocator blocks(2);
  const auto first = Ramp(0, kBlockPositions), second = Ramp(1000, kBlockPositions);
  const BlockId a = blocks.Allocate().value(), b = blocks.Allocate().value();
  blocks.Publish(kNoPrefix, a, first);
  blocks.Publish(kNoPrefix, b, second);
  blocks.Free(a);
  blocks.Free(b);
  blocks.Free(blocks.MatchPrefix(first).blocks.at(0));  // used again: younger than b now
  EXPECT_EQ(blocks.Allocate(), b);
  EXPECT_TRUE(blocks.MatchPrefix(second).blocks.empty());
  EXPECT_EQ(blocks.MatchPrefix(first).blocks.size(), 1u);
}

// The specification in lists: what is published, who owns what, in which order blocks were freed.
class Model {
 public:
  explicit Model(size_t blocks) : references(blocks, 0) {}

  struct Node {
    PrefixId parent, prefix;
    std::vector<TokenId> tokens;
    BlockId block;
  };
  void Evict(BlockId block) {
    std::erase_if(nodes, [&](const Node& n) { return n.block == block; });
    std::erase(freed, block);
  }
  const Node* Find(PrefixId parent, std::span<const TokenId> tokens) const {
    for (const Node& n : nodes)
      if (n.parent == parent && std::equal(tokens.begin(), tokens.end(), n.tokens.begin()))
        return &n;
    return nullptr;
  }
  bool Published(BlockId block) const {
    return std::any_of(nodes.begin(), nodes.end(), [&](const Node& n) { return n.block == block; });
  }
  void Free(BlockId block) {
    if (--references[static_cast<size_t>(block)] == 0 && Published(block)) freed.push_back(block);
  }
  std::vector<BlockId> Match(std::span<const TokenId> tokens) {
    std::vector<BlockId> found;
    PrefixId at = kNoPrefix;
    for (size_t i = 0; i + kBlockPositions <= tokens.size(); i += kBlockPositions) {
      const Node* node = Find(at, tokens.subspan(i, kBlockPositions));
      if (node == nullptr) break;
      at = node->prefix;
      found.push_back(node->block);
      ++references[static_cast<size_t>(node->block)];
      std::erase(freed, node->block);
    }
    return found;
  }

  std::vector<int> references;
  std::vector<Node> nodes;
  std::vector<BlockId> freed;  // published, without owner, the longest ago first
};

TEST(BlockAllocator, RandomScriptsAgreeWithTheModel) {
  Rng random(11);
  const auto below = [&](size_t n) { return static_cast<size_t>(random.Next() % n); };
  struct Owner {
    std::vector<TokenId> tokens;
    std::vector<BlockId> blocks;
    std::vector<PrefixId> prefixes;
  };
  for (int script = 0; script < 20; ++script) {
    const size_t count = 1 + below(12);
    BlockAllocator blocks(static_cast<int64_t>(count));
    Model model(count);
    std::vector<Owner> owners;
    for (int step = 0; step < 400; ++step) {
      switch (below(4)) {
        case 0: {  // a sequence of few possible tokens, so that prefixes meet
          Owner owner;
          for (size_t i = 0; i < 1 + below(4); ++i)
            owner.tokens.insert(owner.tokens.end(), kBlockPositions,
                                static_cast<TokenId>(below(2)));
          auto match = blocks.MatchPrefix(owner.tokens);
          EXPECT_EQ(match.blocks, model.Match(owner.tokens));
          owner.blocks = std::move(match.blocks);
          owner.prefixes = std::move(match.prefixes);
          owners.push_back(std::move(owner));
          break;
        }
        case 1: {  // one more block, published
          if (owners.empty()) break;
          Owner& owner = owners[below(owners.size())];
          const size_t i = owner.blocks.size();
          if ((i + 1) * kBlockPositions > owner.tokens.size()) break;
          const bool any_left = std::any_of(model.references.begin(), model.references.end(),
                                            [](int r) { return r == 0; });
          const bool only_cached = std::count(model.references.begin(), model.references.end(),
                                              0) == std::ssize(model.freed);
          const auto block = blocks.Allocate();
          ASSERT_EQ(block.has_value(), any_left);
          if (!block) break;
          ASSERT_EQ(model.references[static_cast<size_t>(*block)], 0);
          if (only_cached) {
            ASSERT_EQ(*block, model.freed.front());
            model.Evict(*block);
          }
          ASSERT_FALSE(model.Published(*block));
          model.references[static_cast<size_t>(*block)] = 1;
          const auto tokens = std::span(owner.tokens).subspan(i * kBlockPositions, kBlockPositions);
          const PrefixId parent = i == 0 ? kNoPrefix : owner.prefixes.back();
          const PrefixId prefix = blocks.Publish(parent, *block, tokens);
          if (const auto* node = model.Find(parent, tokens))
            EXPECT_EQ(prefix, node->prefix);
          else
            model.nodes.push_back({parent, prefix, {tokens.begin(), tokens.end()}, *block});
          owner.blocks.push_back(*block);
          owner.prefixes.push_back(prefix);
          break;
        }
        case 2: {  // shared by another
          if (owners.empty()) break;
          const Owner copy = owners[below(owners.size())];
          for (const BlockId block : copy.blocks) {
            blocks.Share(block);
            ++model.references[static_cast<size_t>(block)];
          }
          owners.push_back(copy);
          break;
        }
        default: {  // gone
          if (owners.empty()) break;
          const size_t who = below(owners.size());
          for (auto at = owners[who].blocks.rbegin(); at != owners[who].blocks.rend(); ++at) {
            blocks.Free(*at);
            model.Free(*at);
          }
          owners.erase(owners.begin() + static_cast<std::ptrdiff_t>(who));
        }
      }
      const Status ok = blocks.CheckIntegrity();
      ASSERT_TRUE(ok) << ok.error().message;
      EXPECT_EQ(blocks.cached(), std::ssize(model.freed));
      for (size_t i = 0; i < count; ++i)
        ASSERT_EQ(blocks.References(static_cast<BlockId>(i)), model.references[i]);
    }
    for (const Owner& owner : owners)
      for (const BlockId block : owner.blocks) blocks.Free(block);
    EXPECT_EQ(blocks.used(), 0);
  }
}

}  // namespace
}  // namespace tern
