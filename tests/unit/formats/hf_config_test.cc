#include "formats/hf_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace tern {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

json BitNet2B() {
  return json::parse(R"({
    "architectures": ["BitNetForCausalLM"], "model_type": "bitnet", "hidden_act": "relu2",
    "hidden_size": 2560, "num_hidden_layers": 30, "num_attention_heads": 20, "num_key_value_heads": 5,
    "intermediate_size": 6912, "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "vocab_size": 128256,
    "max_position_embeddings": 4096, "tie_word_embeddings": true, "bos_token_id": 128000,
    "eos_token_id": 128001, "rope_scaling": null,
    "quantization_config": {"quant_method": "bitnet", "linear_class": "autobitlinear",
                            "quantization_mode": "offline"}})");
}

json Qwen3() {
  json config = BitNet2B();
  config.erase("quantization_config");
  config["architectures"] = {"Qwen3ForCausalLM"};
  config["hidden_act"] = "silu";
  return config;
}

HfConfig Parse(const json& config) {
  const auto parsed = ParseHfConfig(config.dump(), "config.json");
  EXPECT_TRUE(parsed) << parsed.error().message;
  return parsed.value_or(HfConfig{});
}

void ExpectRefused(const json& config, Code code, const std::string& message) {
  const auto parsed = ParseHfConfig(config.dump(), "config.json");
  ASSERT_FALSE(parsed) << message;
  EXPECT_EQ(parsed.error().code, code) << parsed.error().message;
  EXPECT_THAT(parsed.error().message, HasSubstr(message));
}

json With(json config, const std::string& key, json value) {
  config[key] = std::move(value);
  return config;
}

TEST(HfConfig, ReadsThePublishedBitNetModel) {
  const HfConfig config = Parse(BitNet2B());
  EXPECT_EQ(config.family, HfFamily::kBitNet);
  EXPECT_EQ(config.dim, 2560);
  EXPECT_EQ(config.layers, 30);
  EXPECT_EQ(config.heads, 20);
  EXPECT_EQ(config.kv_heads, 5);
  EXPECT_EQ(config.head_dim, 128);
  EXPECT_EQ(config.ffn, 6912);
  EXPECT_EQ(config.vocab, 128256);
  EXPECT_EQ(config.context, 4096);
  EXPECT_EQ(config.eps, 1e-5);
  EXPECT_EQ(config.rope.theta, 500000);
  EXPECT_EQ(config.rope.scaling, "");
  EXPECT_EQ(config.activation, "relu2");
  EXPECT_EQ(config.tied, true);
  EXPECT_EQ(config.bos, 128000);
  EXPECT_EQ(config.eos, 128001);
  EXPECT_EQ(config.eot, std::nullopt);
  EXPECT_EQ(config.quantization, HfQuantization::kMultiply);
}

TEST(HfConfig, TheLinearClassDecidesMultiplyOrDivide) {
  const auto quantization = [](const char* text) {
    return Parse(With(BitNet2B(), "quantization_config", json::parse(text))).quantization;
  };
  EXPECT_EQ(quantization(R"({"quant_method":"bitnet"})"), HfQuantization::kDivide);
  EXPECT_EQ(quantization(R"({"quant_method":"bitnet","linear_class":"bitlinear"})"),
            HfQuantization::kDivide);
  EXPECT_EQ(quantization(R"({"quant_method":"bitnet","linear_class":"autobitlinear"})"),
            HfQuantization::kMultiply);
  EXPECT_EQ(
      quantization(
          R"({"quant_method":"bitnet","linear_class":"autobitlinear","quantization_mode":"online"})"),
      HfQuantization::kOnline);
  EXPECT_EQ(Parse(Qwen3()).quantization, HfQuantization::kNone);
}

TEST(HfConfig, TheArchitectureWinsOverTheModelType) {
  // 1bitLLM's own folders.
  json config = With(BitNet2B(), "architectures", {"BitnetForCausalLM"});
  config["model_type"] = "llama";
  EXPECT_EQ(Parse(config).family, HfFamily::kBitNet);
  config.erase("architectures");
  config["hidden_act"] = "silu";
  EXPECT_EQ(Parse(config).family, HfFamily::kLlama);
}

TEST(HfConfig, MissingFieldsHaveTheDefaultsOfTransformers) {
  json config = BitNet2B();
  for (const char* key :
       {"num_key_value_heads", "rope_theta", "tie_word_embeddings", "hidden_act", "eos_token_id"})
    config.erase(key);
  const HfConfig bitnet = Parse(config);
  EXPECT_EQ(bitnet.kv_heads, 20);
  EXPECT_EQ(bitnet.rope.theta, 500000);
  EXPECT_EQ(bitnet.tied, std::nullopt);
  EXPECT_EQ(bitnet.activation, "relu2");
  EXPECT_EQ(bitnet.eos, std::nullopt);

  config["architectures"] = {"LlamaForCausalLM"};
  EXPECT_EQ(Parse(config).rope.theta, 10000);
  EXPECT_EQ(Parse(config).activation, "silu");
  config["hidden_size"] = 1024;
  config["num_attention_heads"] = 16;
  EXPECT_EQ(Parse(config).head_dim, 64);
  config["architectures"] = {"Qwen3ForCausalLM"};
  EXPECT_EQ(Parse(config).head_dim, 128);  // of its class, not 1024 / 16
}

TEST(HfConfig, ReadsRopeWhereEitherTransformersVersionKeepsIt) {
  json config = BitNet2B();
  config.erase("rope_theta");
  config["rope_parameters"] = {{"rope_theta", 1000042.0}, {"rope_type", "default"}};
  EXPECT_EQ(Parse(config).rope.theta, 1000042);
  config["rope_theta"] = 7.0;
  EXPECT_EQ(Parse(config).rope.theta, 1000042);
  config.erase("rope_parameters");
  config["rope_scaling"] = {{"type", "linear"}, {"factor", 2}};
  EXPECT_EQ(Parse(config).rope.theta, 7);
  EXPECT_EQ(Parse(config).rope.scaling, "linear");
  EXPECT_EQ(Parse(config).rope.factor, 2);
}

TEST(HfConfig, ReadsYarnWithItsUsualParametersOnly) {
  json yarn = {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 16384}};
  const HfConfig config = Parse(With(Qwen3(), "rope_scaling", yarn));
  EXPECT_EQ(config.rope.scaling, "yarn");
  EXPECT_EQ(config.rope.factor, 4);
  EXPECT_EQ(config.rope.original_context, 16384);
  yarn["beta_fast"] = 32;
  yarn["attention_factor"] = 1.1386294361119891;
  Parse(With(Qwen3(), "rope_scaling", yarn));
  yarn["beta_fast"] = 16;
  ExpectRefused(With(Qwen3(), "rope_scaling", yarn), Code::kUnsupported,
                "rope_scaling.beta_fast: found 16");
  yarn.erase("beta_fast");
  yarn["mscale"] = 1;
  ExpectRefused(With(Qwen3(), "rope_scaling", yarn), Code::kUnsupported, "rope_scaling.mscale");
}

TEST(HfConfig, RefusesByNameWhatTernCannotRun) {
  ExpectRefused(
      With(BitNet2B(), "architectures", {"MixtralForCausalLM"}), Code::kUnsupported,
      "config.json: architectures: found 'MixtralForCausalLM', expected BitNetForCausalLM");
  ExpectRefused(With(With(BitNet2B(), "architectures", nullptr), "model_type", "gpt2"),
                Code::kUnsupported, "config.json: model_type: found 'gpt2'");
  ExpectRefused(With(BitNet2B(), "rope_scaling", {{"rope_type", "llama3"}, {"factor", 8}}),
                Code::kUnsupported, "config.json: rope_scaling.rope_type: RoPE scaling 'llama3'");
  ExpectRefused(With(BitNet2B(), "rope_scaling", {{"type", "dynamic"}, {"factor", 8}}),
                Code::kUnsupported, "dynamic");
  ExpectRefused(With(BitNet2B(), "partial_rotary_factor", 0.5), Code::kUnsupported,
                "partial_rotary_factor");
  ExpectRefused(With(BitNet2B(), "hidden_act", "gelu"), Code::kUnsupported,
                "hidden_act: found 'gelu', expected silu or relu2");
  ExpectRefused(With(Qwen3(), "hidden_act", "relu2"), Code::kUnsupported, "expected silu");
  ExpectRefused(With(Qwen3(), "use_sliding_window", true), Code::kUnsupported,
                "use_sliding_window");
  ExpectRefused(With(Qwen3(), "layer_types", {"full_attention", "sliding_attention"}),
                Code::kUnsupported, "layer_types");
  const auto quantization = [](const char* key, json value) {
    json config = BitNet2B();
    config["quantization_config"][key] = std::move(value);
    return config;
  };
  ExpectRefused(quantization("quant_method", "gptq"), Code::kUnsupported,
                "quantization_config.quant_method: found 'gptq'");
  ExpectRefused(quantization("linear_class", "other"), Code::kUnsupported,
                "linear_class: found 'other'");
  ExpectRefused(quantization("quantization_mode", "other"), Code::kUnsupported,
                "quantization_mode: found 'other'");
  ExpectRefused(quantization("use_rms_norm", true), Code::kUnsupported, "use_rms_norm");
}

TEST(HfConfig, RefusesSizesThatAreMissingOrOutOfRange) {
  for (const char* key :
       {"hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
        "vocab_size", "max_position_embeddings", "rms_norm_eps"}) {
    json config = BitNet2B();
    config.erase(key);
    ExpectRefused(config, Code::kNotFound, std::string("config.json: ") + key + ": missing");
    for (const json& bad :
         {json(0), json(-3), json("7"), json(1e300), json(UINT64_MAX), json(json::array())})
      ExpectRefused(With(BitNet2B(), key, bad), Code::kCorrupt,
                    std::string("config.json: ") + key + ": found");
  }
  ExpectRefused(With(BitNet2B(), "head_dim", 0), Code::kCorrupt, "head_dim: found 0");
  ExpectRefused(With(BitNet2B(), "head_dim", 7), Code::kCorrupt,
                "head_dim: found 7, expected an even");
  ExpectRefused(With(BitNet2B(), "head_dim", 1 << 24), Code::kCorrupt, "head_dim");
  ExpectRefused(With(BitNet2B(), "rope_theta", 0), Code::kCorrupt, "rope_theta: found 0");
  ExpectRefused(With(BitNet2B(), "rope_theta", "x"), Code::kCorrupt, "rope_theta");
  ExpectRefused(With(BitNet2B(), "eos_token_id", {1, -2}), Code::kCorrupt, "eos_token_id");
  ExpectRefused(With(BitNet2B(), "tie_word_embeddings", 1), Code::kCorrupt,
                "tie_word_embeddings: found 1, expected true");
}

TEST(HfConfig, RefusesHeadsThatDoNotDivide) {
  ExpectRefused(With(BitNet2B(), "num_key_value_heads", 6), Code::kCorrupt,
                "num_key_value_heads: found 6, expected a divisor of the 20 attention heads");
  ExpectRefused(With(BitNet2B(), "hidden_size", 2561), Code::kCorrupt,
                "num_attention_heads: found 20, expected a divisor of hidden_size 2561");
}

TEST(HfConfig, RefusesBrokenAndAmbiguousJson) {
  EXPECT_THAT(ParseHfConfig("{", "config.json").error().message,
              HasSubstr("config.json: parse error"));
  EXPECT_THAT(ParseHfConfig("[1]", "config.json").error().message, HasSubstr("expected an object"));
  const auto twice = ParseHfConfig(R"({"hidden_size":1,"hidden_size":2})", "config.json");
  ASSERT_FALSE(twice);
  EXPECT_THAT(twice.error().message, HasSubstr("'hidden_size' occurs twice"));
  EXPECT_FALSE(ParseHfConfig(std::string(100000, '['), "config.json"));
  EXPECT_FALSE(ParseHfConfig(R"({"hidden_size":1e999})", "config.json"));
}

TEST(HfConfig, AListOfEndTokensGivesTheFirstTwo) {
  const HfConfig config = Parse(With(BitNet2B(), "eos_token_id", {128001, 128009, 5}));
  EXPECT_EQ(config.eos, 128001);
  EXPECT_EQ(config.eot, 128009);
  EXPECT_EQ(Parse(With(BitNet2B(), "bos_token_id", -1)).bos, std::nullopt);
}

TEST(HfConfig, MetadataCarriesTheKeysOfGguf) {
  const Metadata meta = MetadataOf(Parse(BitNet2B()), "bitnet-b1.58", "2b");
  EXPECT_EQ(meta.String("general.architecture"), "bitnet-b1.58");
  EXPECT_EQ(meta.String("general.name"), "2b");
  EXPECT_EQ(meta.Int("bitnet-b1.58.block_count"), 30);
  EXPECT_EQ(meta.Int("bitnet-b1.58.embedding_length"), 2560);
  EXPECT_EQ(meta.Int("bitnet-b1.58.feed_forward_length"), 6912);
  EXPECT_EQ(meta.Int("bitnet-b1.58.attention.head_count"), 20);
  EXPECT_EQ(meta.Int("bitnet-b1.58.attention.head_count_kv"), 5);
  EXPECT_EQ(meta.Int("bitnet-b1.58.attention.key_length"), 128);
  EXPECT_EQ(meta.Int("bitnet-b1.58.rope.dimension_count"), 128);
  EXPECT_EQ(meta.Int("bitnet-b1.58.context_length"), 4096);
  EXPECT_EQ(meta.Int("bitnet-b1.58.vocab_size"), 128256);
  EXPECT_EQ(meta.Float("bitnet-b1.58.rope.freq_base"), 500000);
  EXPECT_EQ(meta.Float("bitnet-b1.58.attention.layer_norm_rms_epsilon"), 1e-5);
  EXPECT_EQ(meta.Int("tokenizer.ggml.bos_token_id"), 128000);
  EXPECT_FALSE(meta.Has("bitnet-b1.58.rope.scaling.type"));
  EXPECT_FALSE(meta.Has("bitnet-b1.58.hidden_activation"));
  EXPECT_EQ(MetadataOf(Parse(BitNet2B()), "bitnet", "x").String("bitnet.hidden_activation"),
            "relu2");
}

}  // namespace
}  // namespace tern
