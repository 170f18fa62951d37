// Layers that come from the host in every pass: the same bits as with all of them on the GPU.
#include <gtest/gtest.h>

#include <numeric>
#include <optional>

#include "engine/engine.h"
#include "registry/registry.h"
#include "support/golden.h"
#include "support/tiny_checkpoint.h"

namespace tern {
namespace {

constexpr const char* kStories = TERN_SOURCE_DIR "/models/tern-stories.gguf";

class GpuStreamedLayers : public testing::Test {
 protected:
  void SetUp() override {
    const auto there = CreateBackend("cuda", {});
    if (!there) GTEST_SKIP() << there.error().message;
  }

  static std::unique_ptr<Session> Open(const std::string& model, std::optional<int64_t> layers,
                                       OptimizationLevel level = OptimizationLevel::kAggressive) {
    auto backend = CreateBackend("cuda", {.level = level});
    EXPECT_TRUE(backend) << backend.error().message;
    auto session = Session::Open(std::move(*backend), {.model = model,
                                                       .need_tokenizer = false,
                                                       .context = 256,
                                                       .logit_rows = 64,
                                                       .gpu_layers = layers,
                                                       .level = level});
    EXPECT_TRUE(session) << session.error().message;
    return std::move(*session);
  }

  // Prompts of all sizes that kernels are chosen by, tokens on their own, and those again.
  static std::vector<uint32_t> Logits(Session& session) {
    std::vector<uint32_t> bits;
    for (int twice = 0; twice < 2; ++twice) {
      int32_t position = 0;
      for (const int32_t rows : {9, 1, 1, 1, 60, 1, 1, 20, 1}) {
        std::vector<TokenId> ids;
        for (int32_t r = 0; r < rows; ++r) ids.push_back((position + r) * 7 % 43);
        const auto table = IdentityTable(session.context());
        const auto logits = session.decoder().Forward(
            SequenceRows(ids, position, table).WantingAll(), session.cache());
        EXPECT_TRUE(logits) << logits.error().message;
        position += rows;
        const auto step =
            test::Bits({logits->data, static_cast<size_t>(logits->rows * logits->cols)});
        bits.insert(bits.end(), step.begin(), step.end());
      }
    }
    return bits;
  }
};

TEST_F(GpuStreamedLayers, TheSameBitsHoweverManyStay) {
  const auto all = Open(kStories, std::nullopt);
  const int64_t layers = all->model().config.layers;
  EXPECT_EQ(all->plan().streamed_layers, 0);
  const std::vector<uint32_t> want = Logits(*all);
  for (int64_t keep = 0; keep < layers; ++keep) {
    const auto session = Open(kStories, keep);
    EXPECT_EQ(session->plan().streamed_layers, layers - keep);
    EXPECT_TRUE(Logits(*session) == want) << keep << " of " << layers;
  }
  EXPECT_EQ(Open(kStories, 999)->plan().streamed_layers, 0);
  EXPECT_TRUE(Logits(*Open(kStories, 1, OptimizationLevel::kNone)) ==
              Logits(*Open(kStories, {}, OptimizationLevel::kNone)));
}

TEST_F(GpuStreamedLayers, ScalesOfGroupsComeToo) {
  test::TempFolder folder;
  test::TinyCheckpoint checkpoint({.dim = 384,
                                   .ffn = 640,
                                   .vocab = 43,
                                   .heads = 6,
                                   .kv_heads = 2,
                                   .head_dim = 64,
                                   .layers = 5});
  checkpoint.Groups();
  test::Tame(checkpoint);
  checkpoint.WriteTo(folder);
  const std::vector<uint32_t> want = Logits(*Open(folder.path(), 5));
  for (const int64_t keep : {0, 1, 2})
    EXPECT_TRUE(Logits(*Open(folder.path(), keep)) == want) << keep;
}

TEST_F(GpuStreamedLayers, TextOfAnEngineIsTheSame) {
  std::vector<std::vector<TokenId>> texts;
  for (const std::optional<int64_t> layers :
       {std::optional<int64_t>(), std::optional<int64_t>(1)}) {
    EngineOptions options;
    options.session.model = kStories;
    options.session.gpu_layers = layers;
    auto engine = Engine::Create(std::move(*CreateBackend("cuda", {})), options);
    ASSERT_TRUE(engine) << engine.error().message;
    std::vector<RequestHandle> handles;
    for (int i = 0; i < 6; ++i) {
      Request request;
      request.prompt = (*engine)->tokenizer().Encode("Once upon a time", {.add_bos = true});
      request.options.max_tokens = 20 + i;
      request.options.sampling.seed = static_cast<uint64_t>(i);
      auto handle = (*engine)->Submit(std::move(request));
      ASSERT_TRUE(handle);
      handles.push_back(std::move(*handle));
    }
    std::vector<TokenId>& ids = texts.emplace_back();
    for (RequestHandle& handle : handles)
      while (auto event = handle.Next())
        ids.insert(ids.end(), event->ids.begin(), event->ids.end());
  }
  EXPECT_GT(texts[0].size(), 60u);
  EXPECT_EQ(texts[0], texts[1]);
}

TEST_F(GpuStreamedLayers, ABudgetDecidesHowManyStay) {
  const auto all = Open(kStories, std::nullopt);
  const int64_t layers = all->model().config.layers;
  const std::vector<uint32_t> want = Logits(*all);
  uint64_t layer = 0;
  for (const PackedTernary* matrix : all->model().layers[0].Matrices()) layer += matrix->bytes();
  const uint64_t whole =
      all->model().WeightBytes() + all->decoder().buffer_bytes() + all->cache().shape().bytes();
  int64_t before = -1;
  for (const uint64_t less : {5 * layer, 4 * layer, 3 * layer, uint64_t{0}}) {
    SessionOptions options{.model = kStories,
                           .need_tokenizer = false,
                           .context = 256,
                           .logit_rows = 64,
                           .memory_budget = whole + (layer * 3) / 2 - less};
    auto session = Session::Open(std::move(*CreateBackend("cuda", {})), options);
    ASSERT_TRUE(session) << session.error().message;
    const int64_t keep = layers - (*session)->plan().streamed_layers;
    EXPECT_GT(keep, before);
    before = keep;
    EXPECT_TRUE(Logits(**session) == want) << keep;
    if (less == 0) continue;
    options.gpu_layers = layers;
    const auto refused = Session::Open(std::move(*CreateBackend("cuda", {})), options);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  }
  EXPECT_EQ(before, layers);
}

}  // namespace
}  // namespace tern
