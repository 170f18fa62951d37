#include "formats/hf_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "formats/hf_names.h"
#include "support/tiny_checkpoint.h"

namespace tern {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The shape of the checkpoint.
constexpr int64_t kDim = 8, kFfn = 12, kVocab = 5, kHeadDim = 4;

class HfSource : public ::testing::Test {
 protected:
  Result<std::unique_ptr<WeightSource>> Open() {
    model_.WriteTo(folder_);
    return OpenHfFolder(folder_.path(), {});
  }
  std::unique_ptr<WeightSource> Opened() {
    auto source = Open();
    EXPECT_TRUE(source) << source.error().message;
    return source ? std::move(*source) : nullptr;
  }
  void ExpectRefused(Code code, const std::string& part) {
    const auto source = Open();
    ASSERT_FALSE(source) << part;
    EXPECT_EQ(source.error().code, code) << source.error().message;
    EXPECT_THAT(source.error().message, HasSubstr(folder_.path()));
    EXPECT_THAT(source.error().message, HasSubstr(part));
  }

  test::TinyCheckpoint model_;
  test::TempFolder folder_;
};

TEST_F(HfSource, PresentsTheTensorsOfGgufInTheOrderOfGguf) {
  const auto source = Opened();
  std::vector<std::string> names;
  for (const TensorInfo& info : source->tensors()) names.push_back(info.name);
  EXPECT_THAT(
      names,
      ElementsAre("token_embd.weight", "blk.0.attn_norm.weight", "blk.0.attn_q.weight",
                  "blk.0.attn_k.weight", "blk.0.attn_v.weight", "blk.0.attn_sub_norm.weight",
                  "blk.0.attn_output.weight", "blk.0.ffn_norm.weight", "blk.0.ffn_gate.weight",
                  "blk.0.ffn_up.weight", "blk.0.ffn_sub_norm.weight", "blk.0.ffn_down.weight",
                  "output_norm.weight"));
  EXPECT_EQ(source->metadata().String("general.architecture"), "bitnet-b1.58");
  EXPECT_EQ(source->path(), folder_.path());
}

TEST_F(HfSource, DescribesEveryTensorAsItLiesInTheFile) {
  const auto source = Opened();
  const TensorInfo* gate = source->Find("blk.0.ffn_gate.weight");
  ASSERT_NE(gate, nullptr);
  EXPECT_THAT(gate->shape, ElementsAre(kFfn, kDim));
  EXPECT_EQ(gate->type, "U8 packed");
  EXPECT_TRUE(gate->ternary);
  EXPECT_EQ(gate->bytes, 24u);
  EXPECT_EQ(gate->file, folder_.File("model.safetensors"));
  EXPECT_EQ(test::SafetensorsBytes(model_.tensors).substr(gate->offset, gate->bytes),
            model_.Tensor("model.layers.0.mlp.gate_proj.weight").bytes);
  const TensorInfo* norm = source->Find("output_norm.weight");
  EXPECT_THAT(norm->shape, ElementsAre(kDim));
  EXPECT_FALSE(norm->ternary);
  EXPECT_EQ(source->Find("output.weight"), nullptr);
}

TEST_F(HfSource, ReadsDenseTensorsInTheirOwnTypeAndAsFloats) {
  const auto source = Opened();
  const auto embedding = source->ReadDense("token_embd.weight");
  ASSERT_TRUE(embedding) << embedding.error().message;
  EXPECT_EQ(embedding->type, DType::kBF16);
  EXPECT_EQ(embedding->rows, kVocab);
  EXPECT_EQ(embedding->cols, kDim);
  EXPECT_EQ(source->ReadF32("token_embd.weight"), test::Ramp(kVocab * kDim, 0));
  EXPECT_EQ(source->ReadF32("blk.0.attn_norm.weight"), test::Ramp(kDim, 1));
}

TEST_F(HfSource, ReadsTernaryTensorsAndTheirFloats) {
  const auto source = Opened();
  const auto down = source->ReadTernary("blk.0.ffn_down.weight");
  ASSERT_TRUE(down) << down.error().message;
  const float scale = down->scale().values[0];
  // Its own weight_scale, not another's.
  EXPECT_EQ(scale,
            LoadLe<float>(model_.Tensor("model.layers.0.mlp.down_proj.weight_scale").bytes.data()));
  const auto floats = source->ReadF32("blk.0.ffn_down.weight");
  ASSERT_TRUE(floats) << floats.error().message;
  for (int64_t r = 0; r < kDim; ++r)
    for (int64_t c = 0; c < kFfn; ++c)
      EXPECT_EQ((*floats)[static_cast<size_t>(r * kFfn + c)],
                static_cast<float>(down->At(r, c)) * scale);
}

TEST_F(HfSource, TheWrongKindOfReadIsAnError) {
  const auto source = Opened();
  EXPECT_EQ(source->ReadTernary("nothing").error().code, Code::kNotFound);
  EXPECT_THAT(source->ReadDense("blk.7.x").error().message, HasSubstr("no tensor 'blk.7.x'"));
  EXPECT_EQ(source->ReadTernary("token_embd.weight").error().code, Code::kUnsupported);
  EXPECT_THAT(source->ReadDense("blk.0.attn_q.weight").error().message,
              HasSubstr("tensor 'model.layers.0.self_attn.q_proj.weight': is ternary"));
}

TEST_F(HfSource, LlamaHasItsQueryAndKeyRowsInterleaved) {
  const std::vector<std::string> names = {"blk.0.attn_q.weight", "blk.0.attn_k.weight",
                                          "blk.0.attn_v.weight", "blk.0.attn_output.weight"};
  const auto read_all = [&](const WeightSource& source) {
    std::vector<TernaryMatrix> out;
    for (const std::string& name : names) out.push_back(source.ReadTernary(name).value());
    return out;
  };
  const std::vector<TernaryMatrix> before = read_all(*Opened());
  model_.Llama();
  const auto llama = Opened();
  EXPECT_EQ(llama->metadata().String("general.architecture"), "llama");
  const std::vector<TernaryMatrix> after = read_all(*llama);
  for (size_t n = 0; n < names.size(); ++n)
    for (int64_t head = 0; head < before[n].rows() / kHeadDim; ++head)
      for (int64_t i = 0; i < kHeadDim / 2; ++i)
        for (int64_t j = 0; j < 2; ++j)
          for (int64_t c = 0; c < kDim; ++c) {
            const int64_t row = head * kHeadDim + 2 * i + j;
            const int64_t old = n < 2 ? head * kHeadDim + j * kHeadDim / 2 + i : row;
            EXPECT_EQ(after[n].At(row, c), before[n].At(old, c)) << names[n];
          }
}

TEST_F(HfSource, NamesOf1bitLlmMakeItUpstreamsBitnet) {
  model_.Tensor("model.layers.0.self_attn.attn_sub_norm.weight").name =
      "model.layers.0.self_attn.inner_attn_ln.weight";
  model_.Tensor("model.layers.0.mlp.ffn_sub_norm.weight").name =
      "model.layers.0.mlp.ffn_layernorm.weight";
  const auto source = Opened();
  EXPECT_EQ(source->metadata().String("general.architecture"), "bitnet");
  EXPECT_EQ(source->metadata().String("bitnet.hidden_activation"), "relu2");
  EXPECT_NE(source->Find("blk.0.attn_sub_norm.weight"), nullptr);
  EXPECT_NE(source->Find("blk.0.ffn_sub_norm.weight"), nullptr);
}

TEST_F(HfSource, SiluMakesItUpstreamsBitnet) {
  model_.config["hidden_act"] = "silu";
  EXPECT_EQ(Opened()->metadata().String("general.architecture"), "bitnet");
}

TEST_F(HfSource, AHeadIsPresentedOnlyWhenItIsNotTied) {
  model_.Add(test::Bf16Tensor("lm_head.weight", {kVocab, kDim}, test::Ramp(kVocab * kDim, 3)));
  EXPECT_EQ(Opened()->Find("output.weight"), nullptr);
  model_.config["tie_word_embeddings"] = false;
  EXPECT_EQ(Opened()->ReadF32("output.weight"), test::Ramp(kVocab * kDim, 3));
  model_.config.erase("tie_word_embeddings");
  EXPECT_NE(Opened()->Find("output.weight"), nullptr);
  model_.Remove("lm_head.weight");
  EXPECT_EQ(Opened()->Find("output.weight"), nullptr);
  model_.config["tie_word_embeddings"] = false;
  ExpectRefused(Code::kNotFound, "'lm_head.weight' is missing");
}

TEST_F(HfSource, ADenseModelIsRefusedByNameWhenItIsRead) {
  model_.Llama();
  model_.config.erase("quantization_config");
  for (const char* name : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                           "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}) {
    test::HfTensor& tensor = model_.Tensor("model.layers.0." + std::string(name) + ".weight");
    const int64_t rows = tensor.shape[0] * 4, cols = tensor.shape[1];
    tensor = test::F32Tensor(tensor.name, {rows, cols}, test::Ramp(rows * cols, 1));
  }
  const auto source = Opened();
  EXPECT_EQ(source->Find("blk.0.attn_q.weight")->type, "F32 groups");
  const auto q = source->ReadTernary("blk.0.attn_q.weight");
  ASSERT_FALSE(q);
  EXPECT_EQ(q.error().code, Code::kUnsupported);
  EXPECT_THAT(
      q.error().message,
      HasSubstr("model.safetensors: tensor 'model.layers.0.self_attn.q_proj.weight': row 0"));
  EXPECT_THAT(q.error().message, HasSubstr("this is a dense model"));
}

TEST_F(HfSource, RefusesTensorsThatWouldChangeTheGraph) {
  model_.Norm("model.layers.0.self_attn.q_proj.bias", kDim);
  ExpectRefused(Code::kUnsupported,
                "'model.layers.0.self_attn.q_proj.bias': biases are not supported");
  model_.tensors.back().name = "model.layers.0.self_attn.q_proj.rms_norm.weight";
  ExpectRefused(Code::kUnsupported, "a norm in every linear layer");
  model_.tensors.back().name = "model.layers.0.self_attn.q_norm.weight";
  ExpectRefused(Code::kUnsupported, "not a tensor of a BitNet model");
  model_.tensors.back().name = "model.layers.0.mlp.experts.0.weight";
  ExpectRefused(Code::kUnsupported, "not a tensor of a BitNet model");
  model_.tensors.back().name = "vision.weight";
  ExpectRefused(Code::kUnsupported, "not a tensor of a BitNet model");
  model_.tensors.back().name = "model.layers.1.input_layernorm.weight";
  ExpectRefused(Code::kCorrupt, "layer 1, but num_hidden_layers is 1");
  model_.tensors.back().name = "model.layers.0.self_attn.rotary_emb.inv_freq";
  EXPECT_TRUE(Open());
}

TEST_F(HfSource, RefusesShapesAndTypesThatContradictTheConfiguration) {
  model_.config["intermediate_size"] = 16;
  ExpectRefused(Code::kCorrupt, "found U8 [3, 8], expected [4, 8]");
  model_.config["intermediate_size"] = 12;
  model_.config["vocab_size"] = 6;
  ExpectRefused(Code::kCorrupt, "'model.embed_tokens.weight': found [5, 8], expected [6, 8]");
  model_.config["vocab_size"] = 5;
  model_.Tensor("model.norm.weight").dtype = "I32";
  ExpectRefused(Code::kUnsupported, "'model.norm.weight': found I32, expected F32, F16 or BF16");
}

TEST_F(HfSource, RefusesTwoTensorsForOnePlace) {
  model_.Norm("model.layers.0.self_attn.inner_attn_ln.weight", kDim);
  ExpectRefused(Code::kCorrupt, "a second tensor for 'blk.0.attn_sub_norm.weight'");
}

TEST_F(HfSource, AMissingScaleIsNamed) {
  model_.Remove("model.layers.0.mlp.up_proj.weight_scale");
  ExpectRefused(Code::kNotFound, "'model.layers.0.mlp.up_proj.weight': the weight_scale");
}

TEST_F(HfSource, AFolderWithoutConfigurationIsNotFound) {
  const test::TempFolder empty;
  const auto source = OpenHfFolder(empty.path(), {});
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().code, Code::kNotFound);
  EXPECT_THAT(source.error().message, HasSubstr("config.json"));
}

TEST_F(HfSource, ReadsShardsLikeASingleFile) {
  const auto single = Opened();
  std::vector<test::HfTensor> first(model_.tensors.begin(), model_.tensors.begin() + 9),
      second(model_.tensors.begin() + 9, model_.tensors.end());
  const test::TempFolder sharded;
  sharded.Write("config.json", model_.config.dump());
  sharded.Write("a.safetensors", test::SafetensorsBytes(first));
  sharded.Write("b.safetensors", test::SafetensorsBytes(second));
  json index;
  for (const auto& t : first) index["weight_map"][t.name] = "a.safetensors";
  for (const auto& t : second) index["weight_map"][t.name] = "b.safetensors";
  sharded.Write("model.safetensors.index.json", index.dump());
  const auto source = OpenHfFolder(sharded.path(), {});
  ASSERT_TRUE(source) << source.error().message;
  ASSERT_EQ((*source)->tensors().size(), single->tensors().size());
  for (const TensorInfo& info : single->tensors()) {
    ASSERT_NE((*source)->Find(info.name), nullptr);
    EXPECT_EQ((*source)->ReadF32(info.name).value(), single->ReadF32(info.name).value())
        << info.name;
  }
}

TEST(HfNames, ThePermutationIsItsFormula) {
  for (int64_t i = 0; i < 64; ++i)
    for (int64_t j = 0; j < 2; ++j)
      EXPECT_EQ(PermutedRow(3 * 128 + 2 * i + j, 128), 3 * 128 + j * 64 + i);
}

}  // namespace
}  // namespace tern
