#include "model/synth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "formats/weight_source.h"
#include "model/decoder.h"
#include "model/synth_vocabulary.h"
#include "model/tokenizer_source.h"
#include "registry/registry.h"
#include "support/hf_folder.h"
#include "tokenizer/tokenizer.h"

namespace tern {
namespace {

using testing::HasSubstr;

constexpr SynthShape kTiny = {"tiny", "bitnet-b1.58", 2, 256, 512, 2, 1, 1024, 64, 5e5, true};

std::string Bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class Synth : public ::testing::Test {
 protected:
  std::string Make(const SynthShape& shape, const SynthOptions& options,
                   const std::string& name = "model.gguf") {
    std::string path = folder_.File(name);
    const auto bytes = Synthesize(shape, options, path, {});
    EXPECT_TRUE(bytes) << bytes.error().message;
    EXPECT_EQ(bytes.value_or(0), std::filesystem::file_size(path));
    return path;
  }

  test::TempFolder folder_;
};

// Logits of a few tokens.
std::vector<float> LogitsOf(const std::string& path) {
  auto source = OpenWeights(path, {});
  EXPECT_TRUE(source) << source.error().message;
  auto backend = CreateBackend("auto", {.threads = 1});
  const auto model = LoadModel(**source, **backend);
  EXPECT_TRUE(model) << model.error().message;
  auto decoder = Decoder::Create(*model, **backend, {.max_rows = 4, .max_logit_rows = 1});
  auto cache = (*decoder)->CreateCache(1);
  const std::vector<TokenId> ids = {1, 300, 7};
  const std::vector<BlockId> table = {0};
  const auto logits = (*decoder)->Forward(SequenceRows(ids, 0, table).WantingLast(), *cache);
  EXPECT_TRUE(logits) << logits.error().message;
  return {logits->data, logits->data + logits->cols};
}

TEST_F(Synth, EveryArchitectureLoadsAndGivesFiniteLogitsThatDiffer) {
  for (const char* arch : {"bitnet-b1.58", "bitnet", "llama"}) {
    SynthShape shape = kTiny;
    shape.architecture = arch;
    shape.tied = arch != std::string("llama");
    const std::vector<float> logits = LogitsOf(Make(shape, {}, arch));
    ASSERT_EQ(logits.size(), 1024u);
    EXPECT_TRUE(
        std::all_of(logits.begin(), logits.end(), [](float v) { return std::isfinite(v); }));
    const auto [low, high] = std::minmax_element(logits.begin(), logits.end());
    EXPECT_GT(*high - *low, 0.5f) << arch;
    EXPECT_LT(*high - *low, 50.0f) << arch;
  }
}

TEST_F(Synth, TheSameSeedGivesTheSameBytesAndAnotherOthers) {
  const std::string a = Bytes(Make(kTiny, {.seed = 5}, "a.gguf"));
  EXPECT_EQ(a, Bytes(Make(kTiny, {.seed = 5}, "b.gguf")));
  const std::string c = Bytes(Make(kTiny, {.seed = 6}, "c.gguf"));
  EXPECT_EQ(a.size(), c.size());
  EXPECT_NE(a, c);
}

TEST_F(Synth, EveryTypeHoldsTernaryWeightsOfAllThreeValues) {
  for (const char* type : {"i2_s", "tq1_0", "tq2_0", "q2_0"}) {
    const auto source = OpenWeights(Make(kTiny, {.type = type}, type), {});
    ASSERT_TRUE(source) << source.error().message;
    const auto q = (*source)->ReadTernary("blk.1.ffn_down.weight");
    ASSERT_TRUE(q) << q.error().message;
    std::array<int64_t, 3> counts{};
    std::vector<int8_t> row(static_cast<size_t>(q->cols()));
    for (int64_t r = 0; r < q->rows(); ++r) {
      q->UnpackRow(r, row);
      for (const int8_t v : row) ++counts[static_cast<size_t>(v + 1)];
    }
    for (const int64_t count : counts)
      EXPECT_NEAR(static_cast<double>(count) / (256.0 * 512), 1.0 / 3, 0.02) << type;
    EXPECT_NEAR(q->ScaleAt(0, 0), std::sqrt(1.5 / 512), 1e-4) << type;
  }
}

TEST_F(Synth, TheEmbeddingHasTheTypeAskedFor) {
  for (const DType type : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ6_K}) {
    const auto source = OpenWeights(Make(kTiny, {.embedding = type}, "e.gguf"), {});
    ASSERT_TRUE(source) << source.error().message;
    const auto table = (*source)->ReadDense("token_embd.weight");
    ASSERT_TRUE(table) << table.error().message;
    EXPECT_EQ(table->type, type);
    std::vector<float> row(static_cast<size_t>(table->cols));
    DecodeRow(type, table->Row(77), row);
    double squares = 0;
    for (const float v : row) squares += static_cast<double>(v) * static_cast<double>(v);
    EXPECT_NEAR(std::sqrt(squares / 256), 0.02, 0.004);
    EXPECT_EQ((*source)->Find("output.weight"), nullptr);
  }
}

TEST_F(Synth, AShapeThatTheTypeCannotHoldIsRefusedBeforeAFileAppears) {
  SynthShape odd = kTiny;
  odd.dim = 320;
  odd.heads = 5;
  const auto bytes = Synthesize(odd, {.type = "tq1_0"}, folder_.File("odd.gguf"), {});
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().code, Code::kInvalidArgument);
  EXPECT_THAT(bytes.error().message, HasSubstr("blk.0.attn_q.weight"));
  EXPECT_FALSE(std::filesystem::exists(folder_.File("odd.gguf")));
  const auto type = Synthesize(kTiny, {.type = "f16"}, folder_.File("odd.gguf"), {});
  ASSERT_FALSE(type);
  EXPECT_THAT(type.error().message, HasSubstr("i2_s, tq1_0, tq2_0, q2_0"));
}

TEST_F(Synth, ItsVocabularyIsReadBackAndRoundTripsAnyText) {
  const auto source = OpenWeights(Make(kTiny, {}), {});
  auto spec = ReadTokenizerSpec(**source, {});
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_EQ(spec->pre, "llama-bpe");
  EXPECT_EQ(spec->tokens.size(), 1024u);
  const auto tokenizer = Tokenizer::Create(std::move(*spec));
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  const std::string text = "Th\u00e9 end,\n 1234 \xff";
  const std::vector<TokenId> ids = (*tokenizer)->Encode(text, {});
  EXPECT_EQ((*tokenizer)->Decode(ids), text);
  EXPECT_EQ((*tokenizer)->Encode(std::string(4, '\0'), {}).size(), 2u);
}

TEST(SynthVocabulary, EveryTokenIsUniqueAndEveryMergeMakesOne) {
  for (const int64_t size : {512, 32002, 128256}) {
    const TokenizerSpec spec = SynthVocabulary(size);
    const std::set<std::string> tokens(spec.tokens.begin(), spec.tokens.end());
    EXPECT_EQ(std::ssize(spec.tokens), size);
    EXPECT_EQ(std::ssize(tokens), size);
    for (const std::string& merge : spec.merges) {
      const size_t space = merge.find(' ', 1);
      ASSERT_NE(space, std::string::npos);
      const std::string left = merge.substr(0, space), right = merge.substr(space + 1);
      ASSERT_TRUE(tokens.count(left) && tokens.count(right) && tokens.count(left + right)) << merge;
    }
  }
}

TEST(SynthVocabulary, TheIdsOfLlama3AreWhereItHasThem) {
  const TokenizerSpec spec = SynthVocabulary(128256);
  EXPECT_EQ(spec.bos, 128000);
  EXPECT_EQ(spec.eos, 128001);
  EXPECT_EQ(spec.eot, 128009);
  EXPECT_EQ(spec.tokens[128009], "<|eot_id|>");
}

TEST(SynthPresets, ThePublishedModelHasItsTwoBillionWeights) {
  const SynthShape& s = *FindSynthPreset("2b4t");
  const int64_t kv = s.dim / s.heads * s.kv_heads;
  EXPECT_EQ(s.layers * (2 * s.dim * s.dim + 2 * s.dim * kv + 3 * s.dim * s.ffn), 2084044800);
  EXPECT_EQ(FindSynthPreset("2b"), nullptr);
}

}  // namespace
}  // namespace tern
