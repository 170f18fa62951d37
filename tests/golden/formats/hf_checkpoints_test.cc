// Four checkpoints as transformers 5.17 wrote them: what tern presents against a brute-force
// reading of the same bytes, which shares no code with tern's.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "formats/hf_source.h"
#include "support/shared_data.h"

namespace tern {
namespace {

using nlohmann::json;

/// The file, read the short way.
struct RawCheckpoint {
  explicit RawCheckpoint(const std::filesystem::path& path) : bytes(test::ReadFile(path)) {
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof length);
    header = json::parse(bytes.substr(8, length));
    data = bytes.data() + 8 + length;
  }
  const char* At(const std::string& name) const {
    return data + header.at(name).at("data_offsets").at(0).get<size_t>();
  }
  std::vector<float> Floats(const std::string& name) const {
    const bool f32 = header.at(name).at("dtype") == "F32";
    EXPECT_TRUE(f32 || header.at(name).at("dtype") == "BF16");
    size_t count = 1;
    for (const size_t dim : Shape(name)) count *= dim;
    std::vector<float> values(count);
    // bfloat16 is the upper half of a float32.
    for (size_t i = 0; i < count; ++i)
      std::memcpy(reinterpret_cast<char*>(&values[i]) + (f32 ? 0 : 2), At(name) + (f32 ? 4 : 2) * i,
                  f32 ? 4 : 2);
    return values;
  }
  std::vector<size_t> Shape(const std::string& name) const {
    return header.at(name).at("shape").get<std::vector<size_t>>();
  }

  std::string bytes;
  json header;
  const char* data = nullptr;
};

struct Projection {
  std::string gguf, hf;
};

std::vector<Projection> Projections() {
  std::vector<Projection> out;
  for (int layer = 0; layer < 3; ++layer)
    for (const auto& [gguf, hf] :
         std::vector<std::pair<std::string, std::string>>{{"attn_q", "self_attn.q_proj"},
                                                          {"attn_k", "self_attn.k_proj"},
                                                          {"attn_v", "self_attn.v_proj"},
                                                          {"attn_output", "self_attn.o_proj"},
                                                          {"ffn_gate", "mlp.gate_proj"},
                                                          {"ffn_up", "mlp.up_proj"},
                                                          {"ffn_down", "mlp.down_proj"}})
      out.push_back({"blk." + std::to_string(layer) + "." + gguf + ".weight",
                     "model.layers." + std::to_string(layer) + "." + hf + ".weight"});
  return out;
}

class HfCheckpoint : public ::testing::Test {
 protected:
  void Load(const std::filesystem::path& dir) {
    auto source = OpenHfFolder(dir.string(), {});
    ASSERT_TRUE(source) << source.error().message;
    source_ = std::move(*source);
    raw_ = std::make_unique<RawCheckpoint>(dir / "model.safetensors");
  }

  /// Brute force: q, row-major, and the scale of each of them.
  struct Expected {
    std::vector<int> q;
    std::vector<float> scale;
  };

  template <class BruteForce>
  void ExpectProjections(BruteForce brute_force) {
    for (const Projection& p : Projections()) {
      const auto matrix = source_->ReadTernary(p.gguf);
      ASSERT_TRUE(matrix) << matrix.error().message;
      const Expected expected = brute_force(p);
      ASSERT_EQ(static_cast<size_t>(matrix->rows() * matrix->cols()), expected.q.size()) << p.gguf;
      ASSERT_EQ(static_cast<size_t>(matrix->cols()), raw_->Shape(p.hf)[1]) << p.gguf;
      size_t i = 0;
      for (int64_t r = 0; r < matrix->rows(); ++r)
        for (int64_t c = 0; c < matrix->cols(); ++c, ++i) {
          ASSERT_EQ(matrix->At(r, c), expected.q[i]) << p.gguf << " " << r << " " << c;
          if (expected.q[i] != 0) {
            ASSERT_EQ(matrix->ScaleAt(r, c), expected.scale[i]) << p.gguf << " " << r << " " << c;
          }
        }
    }
  }
  /// Row r + i * stored rows is in bits 2i+1:2i of the stored row r; row(r) is the row wanted at r.
  template <class RowOf>
  Expected Unpacked(const std::string& name, float scale, RowOf row_of) const {
    const size_t stored = raw_->Shape(name)[0], cols = raw_->Shape(name)[1];
    const char* bytes = raw_->At(name);
    Expected expected;
    for (size_t r = 0; r < 4 * stored; ++r)
      for (size_t c = 0; c < cols; ++c) {
        const size_t row = row_of(r);
        const auto byte = static_cast<unsigned char>(bytes[row % stored * cols + c]);
        expected.q.push_back(((byte >> (2 * (row / stored))) & 3) - 1);
      }
    expected.scale.assign(expected.q.size(), scale);
    return expected;
  }
  void ExpectDense(const std::string& gguf, const std::string& hf) const {
    const auto values = source_->ReadF32(gguf);
    ASSERT_TRUE(values) << values.error().message;
    EXPECT_EQ(*values, raw_->Floats(hf)) << gguf;
  }

  std::unique_ptr<WeightSource> source_;
  std::unique_ptr<RawCheckpoint> raw_;
};

TEST_F(HfCheckpoint, PackedBitNetIsWhatTransformersPacked) {
  TERN_SHARED_OR_SKIP(dir, "hf-goldens/a-bitnet-packed");
  Load(dir);
  EXPECT_EQ(source_->metadata().String("general.architecture"), "bitnet-b1.58");
  EXPECT_EQ(source_->metadata().Float("bitnet-b1.58.rope.freq_base"), 500000);
  EXPECT_EQ(source_->tensors().size(), 2u + 3 * 11);
  EXPECT_EQ(source_->Find("output.weight"), nullptr);
  ExpectProjections([&](const Projection& p) {
    return Unpacked(p.hf, raw_->Floats(p.hf + "_scale")[0], [](size_t r) { return r; });
  });
  ExpectDense("token_embd.weight", "model.embed_tokens.weight");
  ExpectDense("output_norm.weight", "model.norm.weight");
  ExpectDense("blk.1.attn_sub_norm.weight", "model.layers.1.self_attn.attn_sub_norm.weight");
  ExpectDense("blk.2.ffn_sub_norm.weight", "model.layers.2.mlp.ffn_sub_norm.weight");
  ExpectDense("blk.0.attn_norm.weight", "model.layers.0.input_layernorm.weight");
  ExpectDense("blk.0.ffn_norm.weight", "model.layers.0.post_attention_layernorm.weight");
}

TEST_F(HfCheckpoint, PackedLlamaIsDividedByItsScaleAndInterleaved) {
  TERN_SHARED_OR_SKIP(dir, "hf-goldens/a-llama-packed");
  Load(dir);
  EXPECT_EQ(source_->metadata().String("general.architecture"), "llama");
  EXPECT_EQ(source_->tensors().size(), 3u + 3 * 9);
  constexpr size_t kHeadDim = 64;
  ExpectProjections([&](const Projection& p) {
    const bool rope =
        p.hf.find("q_proj") != std::string::npos || p.hf.find("k_proj") != std::string::npos;
    return Unpacked(p.hf, 1.0f / raw_->Floats(p.hf + "_scale")[0], [rope](size_t r) {
      // New row 2i+j of a head is old row j*d/2+i.
      const size_t i = r % kHeadDim / 2, j = r % 2;
      return rope ? r / kHeadDim * kHeadDim + j * (kHeadDim / 2) + i : r;
    });
  });
  ExpectDense("output.weight", "lm_head.weight");
}

TEST_F(HfCheckpoint, MastersAreQuantisedByAbsmean) {
  TERN_SHARED_OR_SKIP(dir, "hf-goldens/a-bitnet-master");
  Load(dir);
  EXPECT_EQ(source_->Find("blk.0.attn_q.weight")->type, "BF16 master");
  ExpectProjections([&](const Projection& p) {
    const std::vector<float> weights = raw_->Floats(p.hf);
    long double sum = 0;
    for (const float w : weights) sum += std::fabs(w);
    const float inverse = 1.0f / static_cast<float>(sum / static_cast<long double>(weights.size()));
    Expected expected;
    for (const float w : weights)
      expected.q.push_back(
          static_cast<int>(std::fmin(std::fmax(std::nearbyint(w * inverse), -1.0f), 1.0f)));
    expected.scale.assign(weights.size(), 1.0f / inverse);
    return expected;
  });
}

TEST_F(HfCheckpoint, GroupsOf128KeepEveryValue) {
  TERN_SHARED_OR_SKIP(dir, "hf-goldens/a-qwen3-g128");
  Load(dir);
  EXPECT_EQ(source_->metadata().String("general.architecture"), "qwen3");
  EXPECT_EQ(source_->metadata().Int("qwen3.attention.key_length"), 128);
  EXPECT_EQ(source_->tensors().size(), 2u + 3 * 11);
  ExpectProjections([&](const Projection& p) {
    Expected expected;
    for (const float w : raw_->Floats(p.hf)) {
      expected.q.push_back(w > 0 ? 1 : w < 0 ? -1 : 0);
      expected.scale.push_back(std::fabs(w));
    }
    return expected;
  });
  EXPECT_EQ(source_->ReadTernary("blk.0.attn_q.weight")->scale().kind, ScaleKind::kGroup);
  EXPECT_EQ(source_->ReadTernary("blk.0.attn_q.weight")->scale().group, 128);
  ExpectDense("blk.2.attn_q_norm.weight", "model.layers.2.self_attn.q_norm.weight");
  ExpectDense("blk.2.attn_k_norm.weight", "model.layers.2.self_attn.k_norm.weight");
}

}  // namespace
}  // namespace tern
