// Sequences in blocks of a cache: neither where the blocks lie, nor who shares them, nor what else
// is in the batch changes a bit of the logits.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/session.h"
#include "registry/registry.h"
#include "support/golden.h"

namespace tern {
namespace {

constexpr int64_t kBlocks = 48, kLength = 300;
constexpr int64_t kRows = 64;  // of a chunk when a sequence is alone
constexpr int64_t kMostRows = 600;

std::vector<TokenId> Tokens(int seed, int64_t count = kLength) {
  std::vector<TokenId> ids;
  for (int64_t i = 0; i < count; ++i)
    ids.push_back(static_cast<TokenId>((i * 37 + seed * 11) % 4000));
  return ids;
}

// Rows of several sequences, in the order in which they were added.
struct Mix {
  std::vector<TokenId> tokens;
  std::vector<int32_t> positions, sequences, all;

  void Add(const std::vector<TokenId>& sequence, int32_t index, int64_t from, int64_t count) {
    for (int64_t p = from; p < from + count; ++p) {
      all.push_back(static_cast<int32_t>(all.size()));
      tokens.push_back(sequence[static_cast<size_t>(p)]);
      positions.push_back(static_cast<int32_t>(p));
      sequences.push_back(index);
    }
  }
};

struct Subject {
  const char* backend;
  KvType kv;
  OptimizationLevel level = OptimizationLevel::kAggressive;
};
void PrintTo(const Subject& subject, std::ostream* out) {
  *out << subject.backend << ", keys of type " << static_cast<int>(subject.kv) << ", level "
       << OptimizationName(subject.level);
}

class PagedCache : public testing::TestWithParam<Subject> {
 protected:
  void SetUp() override {
    auto backend = CreateBackend(GetParam().backend, {.threads = 2, .level = GetParam().level});
    if (!backend) GTEST_SKIP() << backend.error().message;
    SessionOptions options;
    options.model = TERN_SOURCE_DIR "/models/tern-stories.gguf";
    options.need_tokenizer = false;
    options.kv = GetParam().kv;
    options.context = kLength;
    options.sequences = kMostRows / kLength;  // a pass of theirs may be so long
    options.max_rows = options.logit_rows = kMostRows;
    options.level = GetParam().level;
    auto session = Session::Open(std::move(*backend), options);
    ASSERT_TRUE(session) << session.error().message;
    session_ = std::move(*session);
    auto cache = session_->decoder().CreateCache(kBlocks);
    ASSERT_TRUE(cache) << cache.error().message;
    cache_.emplace(std::move(*cache));
  }

  // Logits of rows [from, from + count) of a sequence that is alone in the session's cache.
  std::vector<uint32_t> Alone(const std::vector<TokenId>& ids, int64_t from, int64_t count) {
    const auto table = IdentityTable(std::ssize(ids));
    std::vector<uint32_t> bits;
    for (int64_t at = 0; at < from + count; at += kRows) {
      const auto part = std::span(ids).subspan(
          static_cast<size_t>(at), static_cast<size_t>(std::min(kRows, from + count - at)));
      const auto logits = session_->decoder().Forward(SequenceRows(part, at, table).WantingAll(),
                                                      session_->cache());
      EXPECT_TRUE(logits) << logits.error().message;
      for (int64_t r = std::max<int64_t>(0, from - at); r < logits->rows; ++r)
        Append(*logits, r, bits);
    }
    return bits;
  }

  std::vector<uint32_t> Run(const Mix& mix, const std::vector<std::vector<BlockId>>& tables) {
    const std::vector<std::span<const BlockId>> views(tables.begin(), tables.end());
    const auto logits = session_->decoder().Forward(
        {mix.tokens, mix.positions, mix.sequences, views, mix.all}, *cache_);
    EXPECT_TRUE(logits) << logits.error().message;
    std::vector<uint32_t> bits;
    for (int64_t r = 0; logits && r < logits->rows; ++r) Append(*logits, r, bits);
    return bits;
  }

  // The sequences from the beginning, in passes of so many rows of each; then each of them alone.
  void ExpectSameAsAlone(const std::vector<std::vector<int64_t>>& passes) {
    const std::vector<std::vector<TokenId>> ids = {Tokens(1), Tokens(2), Tokens(3)};
    std::vector<std::vector<BlockId>> tables(3);
    for (BlockId i = 0; i < 10; ++i)
      for (BlockId s = 0; s < 3; ++s)
        tables[static_cast<size_t>(s)].push_back((3 * i + s) * 29 % kBlocks);
    std::vector<std::vector<uint32_t>> got(3);
    int64_t at[3] = {0, 0, 0};
    for (const std::vector<int64_t>& counts : passes) {
      Mix mix;
      for (size_t s = 0; s < 3; ++s) mix.Add(ids[s], static_cast<int32_t>(s), at[s], counts[s]);
      const auto bits = Run(mix, tables);
      auto from = bits.begin();
      const auto vocab = std::ssize(bits) / std::ssize(mix.tokens);
      for (size_t s = 0; s < 3; ++s) {
        got[s].insert(got[s].end(), from, from + counts[s] * vocab);
        from += counts[s] * vocab;
        at[s] += counts[s];
      }
    }
    for (size_t s = 0; s < 3; ++s) {
      const auto want = Alone(ids[s], 0, at[s]);
      ASSERT_EQ(got[s].size(), want.size());
      const auto different = std::mismatch(got[s].begin(), got[s].end(), want.begin());
      const auto vocab = std::ssize(want) / at[s];
      EXPECT_TRUE(different.first == got[s].end())
          << "sequence " << s << ", position " << (different.first - got[s].begin()) / vocab;
    }
  }

  static void Append(FloatView logits, int64_t row, std::vector<uint32_t>& bits) {
    const auto more = test::Bits({logits.Row(row), static_cast<size_t>(logits.cols)});
    bits.insert(bits.end(), more.begin(), more.end());
  }

  std::unique_ptr<Session> session_;
  std::optional<KvCache> cache_;
};

TEST_P(PagedCache, ThreeSequencesInScatteredBlocksAndMixedBatches) {
  // Chunks of different lengths in turn, and a row of one sequence between chunks.
  std::vector<std::vector<int64_t>> passes;
  for (int64_t pass = 0; pass < 12; ++pass) {
    std::vector<int64_t>& counts = passes.emplace_back();
    for (int64_t s = 0; s < 3; ++s) counts.push_back((pass + s) % 3 == 0 ? 1 : 20 + 3 * s);
  }
  ExpectSameAsAlone(passes);
}

// A backend may run the first passes of a shape as they are, and replay a recording later.
TEST_P(PagedCache, SingleRowsAndDraftsAreAsInAPrompt) {
  std::vector<std::vector<int64_t>> passes = {{30, 17, 90}};
  for (const int64_t rows : {1, 1, 1, 1, 3, 5, 8, 9})
    for (int pass = 0; pass < 5; ++pass) passes.push_back({rows, 1, pass == 2 ? 0 : rows});
  for (int pass = 0; pass < 20; ++pass) passes.push_back({1, 1, 1});
  ExpectSameAsAlone(passes);
}

TEST_P(PagedCache, HundredsOfRowsInAPass) { ExpectSameAsAlone({{280, 3, 290}, {1, 280, 10}}); }

TEST_P(PagedCache, APrefixIsSharedAndCopiedOnWrite) {
  // Two sequences with the same 80 tokens: two blocks and a half.
  std::vector<TokenId> first = Tokens(1), second = Tokens(2);
  std::copy_n(first.begin(), 80, second.begin());
  std::vector<std::vector<BlockId>> tables = {{9, 3, 17, 5, 40, 1}};
  for (int64_t done = 0; done < 80; done += 40) {
    Mix prefix;
    prefix.Add(first, 0, done, 40);
    Run(prefix, tables);
  }
  ASSERT_TRUE(cache_->CopyBlock(17, 22));
  tables.push_back({9, 3, 22, 11, 2, 33});
  for (int64_t done = 80; done < 140; done += 30) {
    Mix mix;
    mix.Add(first, 0, done, 30);
    mix.Add(second, 1, done, 30);
    const auto got = Run(mix, tables);
    auto want = Alone(first, done, 30);
    const auto more = Alone(second, done, 30);
    want.insert(want.end(), more.begin(), more.end());
    EXPECT_TRUE(got == want) << "from position " << done;
  }
}

TEST_P(PagedCache, HiddenStatesAreThoseBeforeTheHead) {
  const auto ids = Tokens(4, 40);
  const std::vector<std::vector<BlockId>> tables = {{7, 30}};
  const std::vector<std::span<const BlockId>> views(tables.begin(), tables.end());
  Mix mix;
  mix.Add(ids, 0, 0, 40);
  const std::vector<int32_t> wanted = {39, 3};
  const auto hidden = session_->decoder().Forward(
      {mix.tokens, mix.positions, mix.sequences, views, wanted, BatchOutput::kHidden}, *cache_);
  ASSERT_TRUE(hidden) << hidden.error().message;
  EXPECT_EQ(hidden->rows, 2);
  ASSERT_EQ(hidden->cols, session_->model().config.dim);
  // On the host now; the head wants them where the backend computes.
  Backend& backend = session_->backend();
  const int64_t vocab = session_->model().config.vocab;
  const auto there =
      backend.Upload({hidden->data, static_cast<size_t>(2 * session_->model().config.dim)});
  std::vector<float> logits(static_cast<size_t>(2 * vocab));
  const auto out = backend.Allocate(logits.size() * sizeof(float));
  ASSERT_TRUE(there && out);
  backend.Logits({there->as<float>(), 2, hidden->cols}, session_->model().Head(),
                 {out->as<float>(), 2, vocab});
  ASSERT_TRUE(backend.Read(out->as<void>(), std::as_writable_bytes(std::span(logits))));
  std::vector<uint32_t> want = Alone(ids, 39, 1);
  const auto other = Alone(ids, 3, 1);
  want.insert(want.end(), other.begin(), other.end());
  EXPECT_TRUE(test::Bits(logits) == want);
}

TEST_P(PagedCache, BadTablesAreErrors) {
  const auto ids = Tokens(1, 40);
  Mix mix;
  mix.Add(ids, 0, 0, 40);
  const auto error = [&](const std::vector<BlockId>& table) {
    const std::span<const BlockId> views[] = {table};
    const auto logits =
        session_->decoder().Forward({mix.tokens, mix.positions, mix.sequences, views, {}}, *cache_);
    return logits ? "" : logits.error().message;
  };
  EXPECT_EQ(error({0, 1}), "");
  EXPECT_EQ(error({0}), "position 32 is beyond the context of 32");
  EXPECT_EQ(error({0, kBlocks}), "block 48 of a KV cache of 48");
  EXPECT_EQ(error({-1, 0}), "block -1 of a KV cache of 48");
  mix.sequences.back() = 1;
  EXPECT_EQ(error({0, 1}), "sequence 1 of 1");
  mix.sequences.back() = -1;
  EXPECT_EQ(error({0, 1}), "sequence -1 of 1");
}

TEST_P(PagedCache, TooLargeACacheIsAnErrorAndNoMore) {
  const auto refused = session_->decoder().CreateCache(int64_t{1} << 40);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_TRUE(refused.error().message.starts_with("KV cache of 35184372088832 positions ("))
      << refused.error().message;
  EXPECT_EQ(Alone(Tokens(1), 0, 1).size(), 4096u);
}

INSTANTIATE_TEST_SUITE_P(Gpu, PagedCache,
                         testing::Values(Subject{"cuda", KvType::kF32},
                                         Subject{"cuda", KvType::kF16},
                                         Subject{"cuda", KvType::kBf16},
                                         Subject{"cuda", KvType::kInt8},
                                         Subject{"cuda", KvType::kF16, OptimizationLevel::kNone}));
INSTANTIATE_TEST_SUITE_P(All, PagedCache,
                         testing::Values(Subject{"cpu", KvType::kF32}, Subject{"cpu", KvType::kF16},
                                         Subject{"cpu", KvType::kBf16},
                                         Subject{"cpu", KvType::kInt8},
                                         Subject{"reference", KvType::kF16}));

}  // namespace
}  // namespace tern
