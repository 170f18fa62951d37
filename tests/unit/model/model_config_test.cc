#include "model/model_config.h"

#include <gtest/gtest.h>

#include "formats/weight_source.h"

namespace tern {
namespace {

// Metadata and tensor shapes without any data.
class FakeSource final : public WeightSource {
 public:
  FakeSource() {
    Set("general.architecture", std::string("llama"));
    Set("llama.block_count", int64_t{2});
    Set("llama.embedding_length", int64_t{256});
    Set("llama.feed_forward_length", int64_t{512});
    Set("llama.attention.head_count", int64_t{4});
    TensorInfo embedding;
    embedding.name = "token_embd.weight";
    embedding.shape = {100, 256};
    tensors_ = {embedding, embedding};
  }

  void Set(const std::string& key, MetaValue value) { metadata_.Set(key, std::move(value)); }

  const std::string& path() const override { return path_; }
  std::string format() const override { return "fake"; }
  const Metadata& metadata() const override { return metadata_; }
  std::span<const TensorInfo> tensors() const override { return tensors_; }
  const TensorInfo* Find(std::string_view name) const override {
    return name == tensors_[0].name ? &tensors_[0] : nullptr;
  }
  Result<TernaryMatrix> ReadTernary(std::string_view) const override {
    return Fail(Code::kNotFound, "none");
  }
  Result<DenseMatrix> ReadDense(std::string_view) const override {
    return Fail(Code::kNotFound, "none");
  }
  Result<std::vector<float>> ReadF32(std::string_view) const override {
    return Fail(Code::kNotFound, "none");
  }

 private:
  std::string path_ = "model.gguf";
  Metadata metadata_;
  std::vector<TensorInfo> tensors_;
};

std::string ErrorOf(const FakeSource& source) {
  const auto config = ReadModelConfig(source);
  return config ? "" : config.error().message;
}

TEST(ReadModelConfig, TakesDefaultsFromTheOtherKeys) {
  const auto config = ReadModelConfig(FakeSource());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->heads.kv_heads, 4);
  EXPECT_EQ(config->heads.head_dim, 64);
  EXPECT_EQ(config->rope.dims, 64);
  EXPECT_EQ(config->rope.base, 10000);
  EXPECT_EQ(config->vocab, 100);
  EXPECT_EQ(config->rope_style, RopeStyle::kInterleaved);
}

TEST(ReadModelConfig, HeadSizeMayDifferFromWidthOverHeads) {
  FakeSource source;
  source.Set("llama.attention.key_length", int64_t{128});
  const auto config = ReadModelConfig(source);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->heads.head_dim, 128);
}

TEST(ReadModelConfig, AnAliasReadsItsOwnKeys) {
  FakeSource source;
  source.Set("general.architecture", std::string("bitnet-25"));
  for (const char* key :
       {"block_count", "embedding_length", "feed_forward_length", "attention.head_count"})
    source.Set(std::string("bitnet-25.") + key,
               *source.metadata().Find(std::string("llama.") + key));
  const auto config = ReadModelConfig(source);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->architecture, "bitnet-b1.58");
  EXPECT_EQ(config->gate, GateFunction::kReluSquared);
}

TEST(ReadModelConfig, OneValueALayerIsFineWhenAllAreEqual) {
  FakeSource source;
  source.Set("llama.attention.head_count_kv", std::vector<int64_t>{2, 2});
  ASSERT_TRUE(ReadModelConfig(source));
  EXPECT_EQ(ReadModelConfig(source)->heads.kv_heads, 2);
  source.Set("llama.attention.head_count_kv", std::vector<int64_t>{2, 1});
  EXPECT_NE(ErrorOf(source).find("expected the same for every layer"), std::string::npos);
}

TEST(ReadModelConfig, ErrorsNameFileKeyFoundAndExpected) {
  const auto with = [](const std::string& key, MetaValue value) {
    FakeSource source;
    source.Set(key, std::move(value));
    return ErrorOf(source);
  };
  EXPECT_EQ(with("general.architecture", std::string("mamba")),
            "model.gguf: key 'general.architecture': 'mamba' is not supported, expected one of: "
            "bitnet-b1.58, bitnet, "
            "llama, qwen3");
  EXPECT_EQ(with("llama.embedding_length", int64_t{0}),
            "model.gguf: key 'llama.embedding_length': found 0, expected 1 to 16777216");
  EXPECT_EQ(
      with("llama.block_count", int64_t{1000}),
      "model.gguf: key 'llama.block_count': found 1000, expected at most 2, the number of tensors");
  EXPECT_EQ(with("llama.attention.head_count_kv", int64_t{3}),
            "model.gguf: key 'llama.attention.head_count_kv': found 3, expected a divisor of the 4 "
            "heads");
  EXPECT_NE(with("llama.attention.head_count", int64_t{7}), "");
  EXPECT_NE(with("llama.rope.dimension_count", int64_t{65}), "");
  EXPECT_NE(with("llama.rope.freq_base", -1.0), "");
  EXPECT_NE(
      with("llama.rope.scaling.type", std::string("longrope")).find("'longrope' is not supported"),
      std::string::npos);
  EXPECT_NE(with("llama.attention.value_length", int64_t{32}), "");
}

}  // namespace
}  // namespace tern
