#include "model/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/bytes.h"
#include "formats/gguf.h"
#include "model/convert_metadata.h"
#include "support/tiny_checkpoint.h"

namespace tern {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::unique_ptr<WeightSource> Open(const std::string& path) {
  auto source = OpenWeights(path, {});
  EXPECT_TRUE(source) << source.error().message;
  return source ? std::move(*source) : nullptr;
}

/// Every code and every scale, whatever way the scales are shared.
void ExpectSameTernary(const WeightSource& a, const WeightSource& b) {
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  for (const TensorInfo& info : a.tensors()) {
    ASSERT_NE(b.Find(info.name), nullptr) << info.name;
    EXPECT_EQ(b.Find(info.name)->shape, info.shape) << info.name;
    if (!info.ternary) continue;
    const auto x = a.ReadTernary(info.name);
    const auto y = b.ReadTernary(info.name);
    ASSERT_TRUE(x && y) << info.name;
    for (int64_t r = 0; r < x->rows(); ++r) {
      ASSERT_TRUE(std::ranges::equal(x->RowCodes(r), y->RowCodes(r))) << info.name << " row " << r;
      for (int64_t c = 0; c < x->cols(); ++c)
        if (x->At(r, c) != 0) {
          ASSERT_EQ(x->ScaleAt(r, c), y->ScaleAt(r, c)) << info.name << " " << r << " " << c;
        }
    }
  }
}

class Converting : public ::testing::Test {
 protected:
  static constexpr test::TinyShape kShape = {
      .dim = 256, .ffn = 512, .vocab = 40, .heads = 2, .kv_heads = 1, .head_dim = 128, .layers = 2};

  std::unique_ptr<WeightSource> Source() {
    model_.WriteTo(folder_);
    return Open(folder_.path());
  }
  std::string Out() const { return out_.File("out.gguf"); }
  Result<ConvertSummary> To(const WeightSource& source, const ConvertOptions& options = {},
                            const TokenizerSpec* tokenizer = nullptr) {
    return Convert(source, tokenizer, options, Out(), {});
  }
  void ExpectRefused(const WeightSource& source, const ConvertOptions& options, Code code,
                     const std::string& part) {
    const auto summary = To(source, options);
    ASSERT_FALSE(summary) << part;
    EXPECT_EQ(summary.error().code, code) << summary.error().message;
    EXPECT_THAT(summary.error().message, HasSubstr(part));
    EXPECT_FALSE(std::filesystem::exists(Out()));
    EXPECT_TRUE(std::filesystem::is_empty(out_.path()));
  }

  test::TinyCheckpoint model_{kShape};
  test::TempFolder folder_, out_;
};

TEST_F(Converting, BitNetBecomesI2sWithEveryCodeAndScaleKept) {
  const auto source = Source();
  const auto summary = To(*source);
  ASSERT_TRUE(summary) << summary.error().message;
  const auto gguf = Open(Out());
  EXPECT_EQ(gguf->Find("blk.1.ffn_down.weight")->type, "I2_S");
  ExpectSameTernary(*source, *gguf);
  EXPECT_EQ(summary->type, "I2_S");
  EXPECT_EQ(summary->max_scale_error, 0);
  EXPECT_EQ(summary->file_bytes, std::filesystem::file_size(Out()));
  ASSERT_EQ(summary->kinds.size(), 3u);
  EXPECT_EQ(summary->kinds[0].type, "BF16");
  EXPECT_EQ(summary->kinds[1].type, "F32");
  EXPECT_EQ(summary->kinds[2].type, "I2_S");
  EXPECT_EQ(summary->kinds[2].tensors, 14);
  EXPECT_EQ(summary->kinds[1].tensors, 9);
}

TEST_F(Converting, DenseTensorsKeepEveryValue) {
  const auto source = Source();
  ASSERT_TRUE(To(*source));
  const auto gguf = Open(Out());
  for (const char* name : {"token_embd.weight", "output_norm.weight", "blk.0.attn_norm.weight",
                           "blk.1.attn_sub_norm.weight", "blk.1.ffn_sub_norm.weight"})
    EXPECT_EQ(gguf->ReadF32(name).value(), source->ReadF32(name).value()) << name;
  EXPECT_EQ(gguf->Find("token_embd.weight")->type, "BF16");
  EXPECT_EQ(gguf->Find("output_norm.weight")->type, "F32");
}

TEST_F(Converting, MetadataSurvives) {
  const auto source = Source();
  ASSERT_TRUE(To(*source));
  const auto gguf = Open(Out());
  for (const auto& [key, value] : source->metadata().all()) {
    ASSERT_TRUE(gguf->metadata().Has(key)) << key;
    if (const auto* real = std::get_if<double>(&value))
      EXPECT_EQ(gguf->metadata().Float(key), static_cast<double>(static_cast<float>(*real))) << key;
    else
      EXPECT_EQ(*gguf->metadata().Find(key), value) << key;
  }
  EXPECT_EQ(gguf->metadata().Int("general.file_type"), 40);
  ASSERT_TRUE(To(*source, {.name = "Another name"}));
  EXPECT_EQ(Open(Out())->metadata().String("general.name"), "Another name");
  EXPECT_EQ(gguf->metadata().Int("general.quantization_version"), 2);
}

TEST_F(Converting, ValuesHaveTheTypesThatUpstreamReads) {
  const auto source = Source();
  ASSERT_TRUE(To(*source));
  std::ifstream in(Out(), std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const auto type_of = [&](const std::string& key) {
    const size_t at = bytes.find(key);
    EXPECT_NE(at, std::string::npos) << key;
    return LoadLe<uint32_t>(bytes.data() + at + key.size());
  };
  constexpr uint32_t kU32 = 4, kF32 = 6, kString = 8;
  EXPECT_EQ(type_of("general.architecture"), kString);
  EXPECT_EQ(type_of("bitnet-b1.58.block_count"), kU32);
  EXPECT_EQ(type_of("bitnet-b1.58.attention.head_count_kv"), kU32);
  EXPECT_EQ(type_of("bitnet-b1.58.attention.layer_norm_rms_epsilon"), kF32);
  EXPECT_EQ(type_of("bitnet-b1.58.rope.freq_base"), kF32);
  EXPECT_EQ(type_of("tokenizer.ggml.eos_token_id"), kU32);
  EXPECT_EQ(type_of("general.file_type"), kU32);
  EXPECT_LT(bytes.find("general.architecture"), 64u);  // first key
}

TEST_F(Converting, LlamaRowsAreNotPermutedTwice) {
  model_.Llama();
  const auto source = Source();
  ASSERT_TRUE(To(*source));
  ExpectSameTernary(*source, *Open(Out()));
}

TEST_F(Converting, BinarySixteenScalesAreRoundedAndReported) {
  const auto source = Source();
  for (const char* type : {"tq1_0", "tq2_0", "q2_0"}) {
    const auto summary = To(*source, {.type = type});
    ASSERT_TRUE(summary) << summary.error().message;
    EXPECT_GT(summary->max_scale_error, 0);
    EXPECT_LE(summary->max_scale_error, std::ldexp(1.0, -11));
    const auto gguf = Open(Out());
    double worst = 0;
    std::string worst_tensor;
    for (const TensorInfo& info : source->tensors()) {
      if (!info.ternary) continue;
      const auto before = source->ReadTernary(info.name), after = gguf->ReadTernary(info.name);
      ASSERT_TRUE(before && after);
      for (int64_t r = 0; r < before->rows(); ++r)
        ASSERT_TRUE(std::ranges::equal(before->RowCodes(r), after->RowCodes(r)))
            << type << info.name;
      const double exact = before->ScaleAt(0, 0);
      const double error = std::abs(double{after->ScaleAt(0, 0)} - exact) / exact;
      if (error > worst) worst = error, worst_tensor = info.name;
    }
    EXPECT_EQ(summary->max_scale_error, worst) << type;
    EXPECT_EQ(summary->worst_tensor, worst_tensor) << type;
  }
}

TEST_F(Converting, GroupsOf128BecomeQ2WithTheScaleTwice) {
  model_.Groups();
  const auto source = Source();
  const auto summary = To(*source);
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->type, "Q2_0");
  EXPECT_EQ(summary->max_scale_error, 0);
  const auto gguf = Open(Out());
  EXPECT_EQ(gguf->metadata().Int("general.file_type"), 41);
  ExpectSameTernary(*source, *gguf);
}

TEST_F(Converting, GroupScalesDoNotFitTypesWithFewerScales) {
  model_.Groups();
  const auto source = Source();
  ExpectRefused(*source, {.type = "i2_s"}, Code::kUnsupported, "tensor 'blk.0.attn_q.weight'");
  ExpectRefused(*source, {.type = "tq2_0"}, Code::kUnsupported, "tensor 'blk.0.attn_q.weight'");
}

TEST_F(Converting, GroupsOfZerosDoNotKeepATensorFromHavingOneScale) {
  model_.Groups();
  for (test::HfTensor& tensor : model_.tensors) {
    if (tensor.shape.size() != 2 || tensor.dtype != "F32") continue;
    std::vector<float> values(static_cast<size_t>(tensor.shape[0] * tensor.shape[1]));
    for (size_t i = 128; i < values.size(); ++i)
      values[i] = 0.3f * static_cast<float>(static_cast<int>(i % 3) - 1);
    tensor = test::F32Tensor(tensor.name, tensor.shape, values);
  }
  const auto source = Source();
  EXPECT_EQ(source->ReadTernary("blk.0.attn_q.weight")->scale().kind, ScaleKind::kGroup);
  const auto summary = To(*source);
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->type, "I2_S");
  ExpectSameTernary(*source, *Open(Out()));
}

TEST_F(Converting, AGgufFileCanChangeItsTypeAndComeBack) {
  const auto source = Source();
  ASSERT_TRUE(To(*source));
  const auto gguf = Open(Out());
  const std::string second = out_.File("second.gguf"), third = out_.File("third.gguf");
  ASSERT_TRUE(Convert(*gguf, nullptr, {.type = "tq2_0"}, second, {}));
  const auto tq = Open(second);
  EXPECT_EQ(tq->Find("blk.0.ffn_up.weight")->type, "TQ2_0");
  EXPECT_EQ(tq->metadata().Int("general.file_type"), 37);
  ASSERT_TRUE(Convert(*tq, nullptr, {}, third, {}));  // per-tensor scales again: I2_S
  const auto back = Open(third);
  EXPECT_EQ(back->Find("blk.0.ffn_up.weight")->type, "I2_S");
  ExpectSameTernary(*tq, *back);
}

TEST_F(Converting, AFileCanReplaceItsOwnSource) {
  const auto source = Source();
  ASSERT_TRUE(To(*source));
  const auto gguf = Open(Out());
  ASSERT_TRUE(Convert(*gguf, nullptr, {}, Out(), {}));
  ExpectSameTernary(*source, *Open(Out()));
}

TEST_F(Converting, TheEmbeddingTakesTheTypeAskedFor) {
  model_.config["tie_word_embeddings"] = false;
  model_.Add(test::F32Tensor("lm_head.weight", {kShape.vocab, kShape.dim},
                             test::Ramp(kShape.vocab * kShape.dim, -3)));
  const auto source = Source();
  for (const DType type : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ6_K}) {
    const auto summary = To(*source, {.type = "", .embedding = type});
    ASSERT_TRUE(summary) << summary.error().message;
    const auto gguf = Open(Out());
    for (const char* name : {"token_embd.weight", "output.weight"}) {
      const auto dense = gguf->ReadDense(name);
      ASSERT_TRUE(dense) << dense.error().message;
      EXPECT_EQ(dense->type, type);
      const auto exact = source->ReadF32(name).value();
      std::vector<std::byte> encoded(RowBytes(type, kShape.dim).value());
      for (int64_t r = 0; r < kShape.vocab; ++r) {
        const auto row = std::span(exact).subspan(static_cast<size_t>(r * kShape.dim), kShape.dim);
        ASSERT_TRUE(EncodeRow(type, row, encoded));
        EXPECT_TRUE(std::ranges::equal(encoded, std::span(dense->Row(r), encoded.size())))
            << name << r;
      }
    }
  }
  ASSERT_TRUE(To(*source));
  EXPECT_EQ(Open(Out())->Find("output.weight")->type, "F32");  // its own type
  std::filesystem::remove(Out());
  ExpectRefused(*source, {.type = "", .embedding = DType::kQ4_0}, Code::kUnsupported,
                "token_embd.weight");
}

TEST_F(Converting, ShapesThatDoNotFitNameTheTypesThatDo) {
  test::TinyShape odd = kShape;
  odd.dim = odd.ffn = 192;  // not a multiple of 256; 192 * 192 is one of 128
  odd.head_dim = 96;
  model_ = test::TinyCheckpoint(odd);
  const auto source = Source();
  ExpectRefused(*source, {.type = "tq2_0"}, Code::kInvalidArgument, "tensor 'blk.0.attn_q.weight'");
  ExpectRefused(*source, {.type = "tq1_0"}, Code::kInvalidArgument, "possible: i2_s, q2_0");
  ASSERT_TRUE(To(*source, {.type = "q2_0"}));
  std::filesystem::remove(Out());
  ExpectRefused(*source, {.type = "", .embedding = DType::kQ6_K}, Code::kInvalidArgument,
                "tensor 'token_embd.weight'");
  ExpectRefused(*source, {.type = "", .embedding = DType::kQ6_K}, Code::kInvalidArgument,
                "possible: f32, f16, bf16, q8_0");
}

TEST_F(Converting, UnknownTypesAreNamed) {
  const auto source = Source();
  for (const char* type : {"q4_0", "iq2_bn", "f16", "nonsense"})
    ExpectRefused(*source, {.type = type}, Code::kInvalidArgument,
                  std::string("type '") + type + "' can't be written");
}

TEST_F(Converting, AnIncompleteCheckpointIsRefused) {
  model_.Remove("layers.1.mlp.up_proj");
  ExpectRefused(*Source(), {}, Code::kNotFound, "blk.1.ffn_up.weight");
}

TEST_F(Converting, CorruptWeightsLeaveNoFile) {
  model_.Tensor("model.layers.1.mlp.down_proj.weight").bytes[0] = '\xff';
  ExpectRefused(*Source(), {}, Code::kCorrupt, "model.layers.1.mlp.down_proj.weight");
}

TEST_F(Converting, TellsItsProgress) {
  const auto source = Source();
  std::vector<int64_t> done;
  int64_t total = 0;
  ASSERT_TRUE(Convert(*source, nullptr, {}, Out(), [&](int64_t now, int64_t all, std::string_view) {
    done.push_back(now);
    total = all;
  }));
  EXPECT_EQ(total, static_cast<int64_t>(source->tensors().size()));
  ASSERT_EQ(done.size(), source->tensors().size());
  for (size_t i = 0; i < done.size(); ++i) EXPECT_EQ(done[i], static_cast<int64_t>(i + 1));
}

TokenizerSpec Spec() {
  TokenizerSpec spec;
  spec.pre = "llama-bpe";
  spec.tokens = {"a", "b", "ab", "<|eot_id|>", "<|begin_of_text|>"};
  spec.types = {TokenType::kNormal, TokenType::kNormal, TokenType::kNormal, TokenType::kControl,
                TokenType::kControl};
  spec.merges = {"a b"};
  spec.bos = 4;
  spec.eos = 3;
  spec.stops = {2};
  spec.add_bos = true;
  return spec;
}

TEST_F(Converting, WritesTheTokenizerWithOneTokenPerRow) {
  const TokenizerSpec spec = Spec();
  const auto source = Source();
  const auto summary = To(*source, {}, &spec);
  ASSERT_TRUE(summary) << summary.error().message;
  const auto gguf = Open(Out());
  const Metadata& meta = gguf->metadata();
  const auto tokens = meta.Strings("tokenizer.ggml.tokens").value();
  ASSERT_EQ(tokens.size(), static_cast<size_t>(kShape.vocab));
  EXPECT_EQ(tokens[2], "ab");
  EXPECT_EQ(tokens[39], "[PAD39]");
  const auto types = meta.Ints("tokenizer.ggml.token_type").value();
  ASSERT_EQ(types.size(), tokens.size());
  EXPECT_EQ(types[3], 3);
  EXPECT_EQ(types[39], 5);
  EXPECT_EQ(meta.String("tokenizer.ggml.model"), "gpt2");
  EXPECT_EQ(meta.String("tokenizer.ggml.pre"), "llama-bpe");
  EXPECT_THAT(meta.Strings("tokenizer.ggml.merges").value(), ElementsAre("a b"));
  EXPECT_EQ(meta.Int("tokenizer.ggml.bos_token_id"), 4);
  EXPECT_EQ(meta.Int("tokenizer.ggml.eos_token_id"), 3);  // the tokenizer's, not config.json's
  EXPECT_EQ(meta.Int("tokenizer.ggml.eot_token_id"), 2);
  EXPECT_EQ(meta.Bool("tokenizer.ggml.add_bos_token"), true);
  EXPECT_EQ(meta.Bool("tokenizer.ggml.add_eos_token"), false);
  EXPECT_THAT(summary->notes, Contains(HasSubstr("35 unused tokens")));
}

TEST_F(Converting, WritesSentencePieceScoresAndPrefix) {
  TokenizerSpec spec = Spec();
  spec.model = TokenizerModel::kSentencePieceBpe;
  spec.pre.clear();
  spec.merges.clear();
  spec.scores = {0, -1, -2.5f, 0, 0};
  spec.add_space_prefix = false;
  ASSERT_TRUE(To(*Source(), {}, &spec));
  const auto gguf = Open(Out());
  const Metadata& meta = gguf->metadata();
  EXPECT_EQ(meta.String("tokenizer.ggml.model"), "llama");
  EXPECT_EQ(meta.String("tokenizer.ggml.pre"), "default");
  const auto scores = meta.Floats("tokenizer.ggml.scores").value();
  ASSERT_EQ(scores.size(), static_cast<size_t>(kShape.vocab));
  EXPECT_EQ(scores[2], -2.5);
  EXPECT_EQ(meta.Bool("tokenizer.ggml.add_space_prefix"), false);
  EXPECT_FALSE(meta.Has("tokenizer.ggml.merges"));
}

TEST_F(Converting, ATokenizerLargerThanTheEmbeddingIsRefused) {
  TokenizerSpec spec = Spec();
  spec.tokens.resize(41);
  const auto summary = To(*Source(), {}, &spec);
  ASSERT_FALSE(summary);
  EXPECT_THAT(summary.error().message,
              HasSubstr("the tokenizer has 41 tokens, the embedding only 40 rows"));
}

TEST_F(Converting, ThePlaceholderChatTemplateIsReplaced) {
  TokenizerSpec spec = Spec();
  spec.chat_template = "Human: {{x}}\n\nBITNETAssistant: ";
  const auto source = Source();
  const auto summary = To(*source, {}, &spec);
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_THAT(summary->notes, Contains(HasSubstr("chat template")));
  const std::string written = Open(Out())->metadata().String("tokenizer.chat_template").value();
  EXPECT_THAT(written, HasSubstr("capitalize"));
  EXPECT_THAT(written, HasSubstr("<|eot_id|>"));
  EXPECT_THAT(written, HasSubstr("'Assistant: '"));

  spec.chat_template.clear();  // none at all: the same family, the same template
  ASSERT_TRUE(To(*source, {}, &spec));
  EXPECT_EQ(Open(Out())->metadata().String("tokenizer.chat_template"), written);
  spec.chat_template = "{{ a good one }}";
  ASSERT_TRUE(To(*source, {}, &spec));
  EXPECT_EQ(Open(Out())->metadata().String("tokenizer.chat_template"), "{{ a good one }}");
  spec.chat_template.clear();
  spec.tokens[3] = "c";  // not the vocabulary of that model
  ASSERT_TRUE(To(*source, {}, &spec));
  EXPECT_FALSE(Open(Out())->metadata().Has("tokenizer.chat_template"));
}

TEST(ConvertMetadata, KeysThatDescribeTheSourceFileAreLeftOut) {
  Metadata meta;
  meta.Set("general.architecture", std::string("x"));
  meta.Set("general.alignment", int64_t{64});
  meta.Set("general.file_type", int64_t{1});
  meta.Set("split.count", int64_t{3});
  meta.Set("x.negative", int64_t{-5});
  meta.Set("x.big", int64_t{1} << 40);
  meta.Set("x.list", std::vector<int64_t>{1, 2});
  meta.Set("x.reals", std::vector<double>{0.5});
  GgufWriter writer;
  ASSERT_TRUE(WriteMetadata(meta, 36, writer));
  const test::TempFolder folder;
  ASSERT_TRUE(writer.Write(folder.File("m.gguf")));
  const auto source = Open(folder.File("m.gguf"));
  ASSERT_NE(source, nullptr);
  EXPECT_FALSE(source->metadata().Has("general.alignment"));
  EXPECT_FALSE(source->metadata().Has("split.count"));
  EXPECT_EQ(source->metadata().Int("general.file_type"), 36);
  EXPECT_EQ(source->metadata().Int("x.negative"), -5);
  EXPECT_EQ(source->metadata().Int("x.big"), int64_t{1} << 40);
  EXPECT_THAT(source->metadata().Ints("x.list").value(), ElementsAre(1, 2));
  EXPECT_THAT(source->metadata().Floats("x.reals").value(), ElementsAre(0.5));
}

}  // namespace
}  // namespace tern
