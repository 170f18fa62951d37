// The promise that everything else leans on: logits are the same bits on every instruction set and
// with any number of threads, for every architecture. Compared with `==`, prompt and single tokens.
// A GPU has bits of its own, near those.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "backend/cpu/kernel_list.h"
#include "engine/session.h"
#include "registry/registry.h"
#include "support/golden.h"
#include "support/ranking_executor.h"
#include "support/tiny_checkpoint.h"

namespace tern {
namespace {

using test::TempFolder;
using test::TinyCheckpoint;

// Sizes with a part left over everywhere: a last tile of outputs, a last vector of floats.
constexpr test::TinyShape kShape{
    .dim = 384, .ffn = 640, .vocab = 43, .heads = 6, .kv_heads = 2, .head_dim = 64, .layers = 2};

// Values as trained models have them: a ramp would end in infinities.
void Tame(TinyCheckpoint& checkpoint) {
  for (test::HfTensor& tensor : checkpoint.tensors) {
    int64_t count = 1;
    for (const int64_t dim : tensor.shape) count *= dim;
    std::vector<float> values(static_cast<size_t>(count));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = std::sin(static_cast<float>(i * i % 1013));
    if (tensor.name.find("embed") != std::string::npos)
      tensor = test::Bf16Tensor(tensor.name, tensor.shape, values);
    if (tensor.name.find("norm") != std::string::npos) {
      for (float& v : values) v = 1 + v / 4;
      tensor = test::F32Tensor(tensor.name, tensor.shape, values);
    }
  }
}

struct Subject {
  std::string name;
  ActivationType activations;
  std::optional<KvType> kv = {};
};
void PrintTo(const Subject& subject, std::ostream* out) {
  *out << subject.name << (subject.activations == ActivationType::kInt8 ? ", int8" : ", float");
  if (subject.kv) *out << ", keys of type " << static_cast<int>(*subject.kv);
}

class SameLogits : public testing::TestWithParam<Subject> {
 protected:
  void SetUp() override {
    model_ = folder_.path();
    const std::string& name = GetParam().name;
    TinyCheckpoint checkpoint(kShape);
    if (name == "stories") model_ = TERN_SOURCE_DIR "/models/tern-stories.gguf";
    if (name == "bitnet") checkpoint.config["hidden_act"] = "silu";
    if (name == "llama") checkpoint.Llama();
    if (name == "qwen3") checkpoint.Groups();
    Tame(checkpoint);
    checkpoint.WriteTo(folder_);
  }
  void TearDown() override { ::unsetenv("TERN_FORCE_ISA"); }

  // Logits of a prompt's every row, then of three tokens on their own.
  std::vector<uint32_t> Logits(const std::string& backend_name, int threads,
                               OptimizationLevel level = OptimizationLevel::kAggressive) {
    auto backend = CreateBackend(backend_name, {.threads = threads, .level = level});
    EXPECT_TRUE(backend) << backend.error().message;
    const auto session = Session::Open(std::move(*backend), {.model = model_,
                                                             .need_tokenizer = false,
                                                             .activations = GetParam().activations,
                                                             .kv = GetParam().kv,
                                                             .logit_rows = 16,
                                                             .level = level});
    EXPECT_TRUE(session) << session.error().message;
    std::vector<uint32_t> bits;
    int32_t position = 0;
    for (const int32_t rows : {9, 1, 1, 1}) {
      std::vector<TokenId> ids;
      for (int32_t r = 0; r < rows; ++r) ids.push_back((position + r) * 7 % 43);
      const auto table = IdentityTable((*session)->context());
      const auto logits = (*session)->decoder().Forward(
          SequenceRows(ids, position, table).WantingAll(), (*session)->cache());
      position += rows;
      EXPECT_TRUE(logits) << logits.error().message;
      const auto count = static_cast<size_t>(logits->rows * logits->cols);
      const auto step = test::Bits({logits->data, count});
      bits.insert(bits.end(), step.begin(), step.end());
    }
    return bits;
  }

  TempFolder folder_;
  std::string model_;
};

TEST_P(SameLogits, OnEveryInstructionSetWithAnyNumberOfThreads) {
  const std::vector<uint32_t> reference = Logits("reference", 1);
  for (const uint32_t bits : reference)
    ASSERT_TRUE(std::isfinite(std::bit_cast<float>(bits))) << "the comparison would prove nothing";
  ASSERT_NE(std::adjacent_find(reference.begin(), reference.end(), std::not_equal_to<>()),
            reference.end());
  for (const cpu::TernaryKernel& kernel : cpu::AllKernels()) {
    if ((kernel.needs & DetectCpu()) != kernel.needs) continue;
    ::setenv("TERN_FORCE_ISA", std::string(kernel.isa).c_str(), 1);
    for (const int threads : {1, 2, 3, 5})
      EXPECT_EQ(Logits("cpu", threads), reference) << kernel.isa << ", " << threads << " threads";
  }
  ::unsetenv("TERN_FORCE_ISA");
  for (const int threads : {1, 4}) EXPECT_EQ(Logits("cpu", threads), reference) << "free choice";
}

TEST_P(SameLogits, AtEveryLevelOfOptimisation) {
  const std::vector<uint32_t> reference = Logits("reference", 1);
  for (const auto level :
       {OptimizationLevel::kNone, OptimizationLevel::kBasic, OptimizationLevel::kAggressive}) {
    EXPECT_EQ(Logits("cpu", 2, level), reference) << OptimizationName(level);
    EXPECT_EQ(Logits("reference", 2, level), reference) << OptimizationName(level);
  }
}

// Codes of int8 activations that lie on a border fall to either side; field: 2.4e-2 to 3e-2 between
// correct implementations on trained models.
class SameLogitsOnGpu : public SameLogits {};

TEST_P(SameLogitsOnGpu, NearTheReferenceAtEveryLevel) {
  const auto there = CreateBackend("cuda", {});
  if (!there) GTEST_SKIP() << there.error().message;
  const std::vector<uint32_t> reference = Logits("reference", 1);
  // Joined, norm and quantiser round in another order than apart.
  std::vector<std::vector<uint32_t>> all;
  for (const auto level :
       {OptimizationLevel::kNone, OptimizationLevel::kBasic, OptimizationLevel::kAggressive}) {
    const std::vector<uint32_t>& got = all.emplace_back(Logits("cuda", 1, level));
    ASSERT_EQ(got.size(), reference.size());
    double error = 0, norm = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      const double w = std::bit_cast<float>(reference[i]), g = std::bit_cast<float>(got[i]);
      error += (g - w) * (g - w);
      norm += w * w;
    }
    const double relative = std::sqrt(error / norm);
    const bool exact =
        GetParam().activations == ActivationType::kFloat && GetParam().kv != KvType::kInt8;
    EXPECT_LE(relative, exact ? 1e-4 : 3e-2) << OptimizationName(level);
    std::printf("%s, %s: %.2e\n", GetParam().name.c_str(),
                std::string(OptimizationName(level)).c_str(), relative);
  }
  EXPECT_TRUE(all[0] == all[1]);
  EXPECT_TRUE(Logits("cuda", 1) == all[2]) << "twice";
}

// The same pass twice: all logits, and those that may stay; a third time, when it may be a
// recording.
TEST_P(SameLogitsOnGpu, TheBestAreThoseOfAllLogits) {
  auto there = CreateBackend("cuda", {});
  if (!there) GTEST_SKIP() << there.error().message;
  const auto session = Session::Open(std::move(*there), {.model = model_,
                                                         .need_tokenizer = false,
                                                         .activations = GetParam().activations,
                                                         .kv = GetParam().kv,
                                                         .logit_rows = 16});
  ASSERT_TRUE(session) << session.error().message;
  Decoder& decoder = (*session)->decoder();
  const std::vector<TokenId> ids = {7, 3, 11, 40, 2};
  const auto table = IdentityTable((*session)->context());
  const SequenceRows rows(ids, 0, table);
  const std::vector<int32_t> wanted = {1, 4};
  const auto logits = decoder.Forward(rows.Wanting(wanted), (*session)->cache());
  ASSERT_TRUE(logits) << logits.error().message;
  const auto vocab = static_cast<size_t>(logits->cols);
  std::vector<std::vector<float>> expected;
  for (int64_t r = 0; r < 2; ++r) expected.emplace_back(logits->Row(r), logits->Row(r) + vocab);
  for (int time = 0; time < 4; ++time) {
    const auto top =
        decoder.Forward(rows.Wanting(wanted, BatchOutput::kTopLogits), (*session)->cache());
    ASSERT_TRUE(top) << top.error().message;
    ASSERT_EQ(top->data, nullptr);
    for (int64_t r = 0; r < 2; ++r) {
      const LogitRow row(decoder, *top, r, vocab);
      const test::SortedTop sorted(expected[static_cast<size_t>(r)], kTopLogits);
      EXPECT_TRUE(std::ranges::equal(row.Top().ids, sorted.ids)) << "row " << r;
      EXPECT_TRUE(std::ranges::equal(row.Top().logits, sorted.logits)) << "row " << r;
    }
    const auto all = LogitRow(decoder, *top, 1, vocab).All();
    ASSERT_TRUE(all) << all.error().message;
    EXPECT_TRUE(std::ranges::equal(*all, expected[1]));
  }
}

const auto kModels = testing::Values(
    Subject{"stories", ActivationType::kInt8}, Subject{"stories", ActivationType::kFloat},
    Subject{"bitnet-b1.58", ActivationType::kInt8},
    Subject{"stories", ActivationType::kInt8, KvType::kBf16},
    Subject{"stories", ActivationType::kInt8, KvType::kF32},
    Subject{"stories", ActivationType::kInt8, KvType::kInt8},
    Subject{"qwen3", ActivationType::kFloat, KvType::kInt8},
    Subject{"bitnet", ActivationType::kInt8}, Subject{"llama", ActivationType::kInt8},
    Subject{"llama", ActivationType::kFloat}, Subject{"qwen3", ActivationType::kInt8},
    Subject{"qwen3", ActivationType::kFloat});
INSTANTIATE_TEST_SUITE_P(Models, SameLogits, kModels);
INSTANTIATE_TEST_SUITE_P(Gpu, SameLogitsOnGpu, kModels);

}  // namespace
}  // namespace tern
