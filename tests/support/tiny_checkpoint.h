// A Hugging Face checkpoint of a few tensors, made by arithmetic; tests change its parts before it
// is written.
#pragma once

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "support/hf_folder.h"

namespace tern::test {

struct TinyShape {
  int64_t dim = 8, ffn = 12, vocab = 5, heads = 2, kv_heads = 1, head_dim = 4, layers = 1;
};

/// first, first + 1, ...
inline std::vector<float> Ramp(int64_t n, float first) {
  std::vector<float> out;
  for (int64_t i = 0; i < n; ++i) out.push_back(first + static_cast<float>(i));
  return out;
}

/// A packed BitNet model ("autobitlinear", offline) with tied embedding; Llama() and Groups() turn
/// it into others.
class TinyCheckpoint {
 public:
  explicit TinyCheckpoint(const TinyShape& shape = {}) : shape_(shape) {
    config = {
        {"architectures", {"BitNetForCausalLM"}},
        {"hidden_act", "relu2"},
        {"hidden_size", shape.dim},
        {"num_hidden_layers", shape.layers},
        {"num_attention_heads", shape.heads},
        {"num_key_value_heads", shape.kv_heads},
        {"head_dim", shape.head_dim},
        {"intermediate_size", shape.ffn},
        {"rms_norm_eps", 1e-05},
        {"vocab_size", shape.vocab},
        {"max_position_embeddings", 16},
        {"tie_word_embeddings", true},
        {"bos_token_id", 1},
        {"eos_token_id", 2},
        {"quantization_config", {{"quant_method", "bitnet"}, {"linear_class", "autobitlinear"}}}};
    Norm("model.norm.weight", shape.dim);  // not in the order in which it is presented
    Add(Bf16Tensor("model.embed_tokens.weight", {shape.vocab, shape.dim},
                   Ramp(shape.vocab * shape.dim, 0)));
    for (int64_t layer = 0; layer < shape.layers; ++layer) {
      const std::string at = "model.layers." + std::to_string(layer) + ".";
      Norm(at + "input_layernorm.weight", shape.dim);
      Norm(at + "post_attention_layernorm.weight", shape.dim);
      Norm(at + "self_attn.attn_sub_norm.weight", shape.heads * shape.head_dim);
      Norm(at + "mlp.ffn_sub_norm.weight", shape.ffn);
      Projection(at + "self_attn.q_proj", shape.heads * shape.head_dim, shape.dim);
      Projection(at + "self_attn.k_proj", shape.kv_heads * shape.head_dim, shape.dim);
      Projection(at + "self_attn.v_proj", shape.kv_heads * shape.head_dim, shape.dim);
      Projection(at + "self_attn.o_proj", shape.dim, shape.heads * shape.head_dim);
      Projection(at + "mlp.gate_proj", shape.ffn, shape.dim);
      Projection(at + "mlp.up_proj", shape.ffn, shape.dim);
      Projection(at + "mlp.down_proj", shape.dim, shape.ffn);
    }
  }

  void Add(HfTensor tensor) { tensors.push_back(std::move(tensor)); }
  void Norm(const std::string& name, int64_t n) { Add(F32Tensor(name, {n}, Ramp(n, 1))); }
  HfTensor& Tensor(const std::string& name) {
    return *std::find_if(tensors.begin(), tensors.end(),
                         [&](const auto& t) { return t.name == name; });
  }
  void Remove(const std::string& part) {
    std::erase_if(tensors, [&](const auto& t) { return t.name.find(part) != std::string::npos; });
  }

  /// Plain llama: no sub-norms, SiLU.
  void Llama() {
    config["architectures"] = {"LlamaForCausalLM"};
    config["hidden_act"] = "silu";
    Remove("sub_norm");
  }
  /// Qwen3 with dense float weights that are ternary in groups of 128 columns.
  void Groups() {
    Llama();
    config["architectures"] = {"Qwen3ForCausalLM"};
    config.erase("quantization_config");
    Remove("weight_scale");
    for (HfTensor& tensor : tensors)
      if (tensor.dtype == "U8")
        tensor = GroupTensor(tensor.name, tensor.shape[0] * 4, tensor.shape[1]);
    for (int64_t layer = 0; layer < shape_.layers; ++layer)
      for (const char* norm : {"q_norm", "k_norm"})
        Norm("model.layers." + std::to_string(layer) + ".self_attn." + norm + ".weight",
             shape_.head_dim);
  }

  void WriteTo(const TempFolder& folder) const {
    folder.Write("config.json", config.dump());
    folder.Write("model.safetensors", SafetensorsBytes(tensors));
  }

  nlohmann::json config;
  std::vector<HfTensor> tensors;

 private:
  void Projection(const std::string& name, int64_t rows, int64_t cols) {
    std::vector<uint8_t> bytes;
    for (int64_t i = 0; i < (rows + 3) / 4 * cols; ++i) {
      unsigned byte = 0;
      for (int code = 0; code < 4; ++code) byte = byte << 2 | static_cast<unsigned>(random_() % 3);
      bytes.push_back(static_cast<uint8_t>(byte));
    }
    Add(U8Tensor(name + ".weight", {(rows + 3) / 4, cols}, bytes));
    const float scale = 1.0f + 0.001f * static_cast<float>(tensors.size());  // not a binary16
    Add(F32Tensor(name + ".weight_scale", {1}, std::span(&scale, 1)));
  }
  HfTensor GroupTensor(const std::string& name, int64_t rows, int64_t cols) {
    std::vector<float> values;
    for (int64_t i = 0; i < rows * cols; ++i) {
      const auto group = static_cast<float>(i / 128 % 7 + 1);
      values.push_back(0.0078125f * group * (static_cast<float>(random_() % 3) - 1));
    }
    return F32Tensor(name, {rows, cols}, values);
  }

  TinyShape shape_;
  std::mt19937 random_{5};
};

/// Values as trained models have them: a ramp would end in infinities.
inline void Tame(TinyCheckpoint& checkpoint) {
  for (HfTensor& tensor : checkpoint.tensors) {
    int64_t count = 1;
    for (const int64_t dim : tensor.shape) count *= dim;
    std::vector<float> values(static_cast<size_t>(count));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = std::sin(static_cast<float>(i * i % 1013));
    if (tensor.name.find("embed") != std::string::npos)
      tensor = Bf16Tensor(tensor.name, tensor.shape, values);
    if (tensor.name.find("norm") != std::string::npos) {
      for (float& v : values) v = 1 + v / 4;
      tensor = F32Tensor(tensor.name, tensor.shape, values);
    }
  }
}

}  // namespace tern::test
