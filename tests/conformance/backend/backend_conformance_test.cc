// Every backend and every instruction set against the reference backend: the same bits from each
// operation.
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "backend/cpu/kernel_list.h"
#include "backend/reference/reference_backend.h"
#include "base/float16.h"
#include "base/rng.h"
#include "registry/registry.h"

namespace tern {
namespace {

struct Subject {
  std::string backend, isa;
  int threads;
};

void PrintTo(const Subject& subject, std::ostream* out) {
  *out << subject.backend << ", " << subject.isa << ", " << subject.threads << " threads";
}

std::vector<Subject> Subjects() {
  std::vector<Subject> subjects;
  for (const cpu::TernaryKernel& kernel : cpu::AllKernels())
    for (const int threads : {1, 3}) subjects.push_back({"cpu", std::string(kernel.isa), threads});
  return subjects;
}

std::vector<float> Floats(size_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> out(n);
  for (float& v : out) v = static_cast<float>(rng.NextUnit() * 4 - 2);
  return out;
}

// A linear input with memory of its own.
struct Input {
  Input(ActivationType type, int64_t rows, int64_t cols, int64_t group)
      : stride((cols + kInputPadding - 1) / kInputPadding * kInputPadding),
        q(static_cast<size_t>(rows * stride), 77),
        step(static_cast<size_t>(rows * (cols / group))),
        sums(step.size()),
        values(q.size(), 77.0f),
        view{type, rows, cols, group, stride, q.data(), step.data(), sums.data(), values.data()} {}

  int64_t stride;
  std::vector<int8_t> q;
  std::vector<float> step;
  std::vector<int32_t> sums;
  std::vector<float> values;
  LinearInput view;
};

class Conformance : public testing::TestWithParam<Subject> {
 protected:
  void SetUp() override {
    ::setenv("TERN_FORCE_ISA", GetParam().isa.c_str(), 1);
    auto made = CreateBackend(GetParam().backend, {.threads = GetParam().threads});
    ::unsetenv("TERN_FORCE_ISA");
    if (!made) GTEST_SKIP() << made.error().message;
    backend_ = std::move(*made);
    reference_ = CreateReferenceBackend(1);
  }

  // Runs on both and compares all floats that the operation may write.
  template <class Run>
  void Same(std::vector<float> initial, Run run) {
    std::vector<float> got = initial, want = std::move(initial);
    run(*backend_, got.data());
    run(*reference_, want.data());
    EXPECT_EQ(std::memcmp(got.data(), want.data(), got.size() * sizeof(float)), 0);
  }

  std::unique_ptr<Backend> backend_, reference_;
};

TEST_P(Conformance, NormQuantize) {
  for (const int64_t cols : {64, 100, 384, 2560}) {
    const auto x = Floats(static_cast<size_t>(5 * cols), 1),
               gain = Floats(static_cast<size_t>(cols), 2);
    for (const float* g : {gain.data(), static_cast<const float*>(nullptr)}) {
      Input a(ActivationType::kInt8, 5, cols, cols), b(ActivationType::kInt8, 5, cols, cols);
      FloatView view(const_cast<float*>(x.data()), 5, cols);
      backend_->NormQuantize(view, g, 1e-5f, a.view);
      reference_->NormQuantize(view, g, 1e-5f, b.view);
      EXPECT_EQ(a.q, b.q);
      EXPECT_EQ(a.step, b.step);
      EXPECT_EQ(a.sums, b.sums);
    }
  }
}

TEST_P(Conformance, NormQuantizeOfOddRows) {
  // Zeros, one huge value, exact halves, infinities and NaN: nothing may crash, and the bytes must
  // agree.
  std::vector<float> x(6 * 64, 0.0f);
  x[64] = 1e30f;
  for (size_t i = 0; i < 64; ++i) x[128 + i] = static_cast<float>(i) * 0.5f;
  x[128] = 127;
  x[192 + 5] = std::numeric_limits<float>::infinity();
  x[256 + 7] = std::numeric_limits<float>::quiet_NaN();
  x[256 + 8] = 3;
  for (size_t i = 0; i < 64; ++i) x[320 + i] = -1e-7f;
  Input a(ActivationType::kInt8, 6, 64, 64), b(ActivationType::kInt8, 6, 64, 64);
  backend_->NormQuantize({x.data(), 6, 64}, nullptr, 1e-5f, a.view);
  reference_->NormQuantize({x.data(), 6, 64}, nullptr, 1e-5f, b.view);
  EXPECT_EQ(a.q, b.q);
  EXPECT_EQ(a.sums, b.sums);
  EXPECT_EQ(std::memcmp(a.step.data(), b.step.data(), sizeof(float) * 6), 0);
}

TEST_P(Conformance, LinearInEveryScaleKindAndActivationType) {
  constexpr int64_t kRows = 70, kCols = 384;
  for (const ScaleKind kind : {ScaleKind::kTensor, ScaleKind::kRow, ScaleKind::kGroup}) {
    Rng rng(3);
    std::vector<int8_t> q(kRows * kCols);
    for (int8_t& v : q) v = static_cast<int8_t>(static_cast<int>(rng.Next() % 3) - 1);
    ScaleSpec scale{kind, kind == ScaleKind::kGroup ? 128 : 0, {}};
    const int64_t scales = kind == ScaleKind::kTensor ? 1
                           : kind == ScaleKind::kRow  ? kRows
                                                      : kRows * kCols / 128;
    scale.values = Floats(static_cast<size_t>(scales), 4);
    const auto matrix = TernaryMatrix::FromValues(kRows, kCols, q, scale);
    ASSERT_TRUE(matrix);
    for (const ActivationType type : {ActivationType::kInt8, ActivationType::kFloat}) {
      for (const int64_t rows : {1, 6, 37}) {
        const auto x = Floats(static_cast<size_t>(rows * kCols), 5);
        for (const Epilogue epilogue : {Epilogue::kStore, Epilogue::kAdd}) {
          Same(Floats(static_cast<size_t>(rows * kRows), 6), [&](Backend& be, float* y) {
            const auto packed = be.Pack(*matrix);
            ASSERT_TRUE(packed);
            Input in(type, rows, kCols, (*packed)->group());
            be.NormQuantize({const_cast<float*>(x.data()), rows, kCols}, nullptr, 0, in.view);
            be.Linear(in.view, **packed, {y, rows, kRows}, epilogue);
          });
        }
      }
    }
  }
}

TEST_P(Conformance, RopeStoreKvWithAndWithoutHeadNorms) {
  const HeadShape shape{6, 3, 20};
  const auto table = Floats(64 * 16, 7), gain = Floats(20, 8);
  for (const RopeStyle style : {RopeStyle::kNeox, RopeStyle::kInterleaved}) {
    for (const float* g : {gain.data(), static_cast<const float*>(nullptr)}) {
      const std::vector<int32_t> positions = {0, 63, 5}, slots = {0, 1, 0};
      const size_t kv_size = 2 * 64 * static_cast<size_t>(shape.kv_cols());
      auto initial = Floats(static_cast<size_t>(3 * shape.qkv_cols()) + 2 * kv_size, 9);
      Same(std::move(initial), [&](Backend& be, float* memory) {
        float* k = memory + 3 * shape.qkv_cols();
        be.RopeStoreKv({memory, 3, shape.qkv_cols()}, shape, {style, 16, table.data(), g, g, 1e-6f},
                       {positions, slots}, {KvType::kF32, k, k + kv_size, 64});
      });
    }
  }
}

TEST_P(Conformance, AttentionOverShortAndLongPasts) {
  for (const HeadShape shape : {HeadShape{4, 2, 64}, HeadShape{5, 1, 100}, HeadShape{3, 3, 20}}) {
    constexpr int64_t kCapacity = 700;
    const auto k = Floats(static_cast<size_t>(2 * kCapacity * shape.kv_cols()), 10);
    const auto v = Floats(k.size(), 11);
    const std::vector<int32_t> positions = {0, 1, 15, 16, 255, 256, 699},
                               slots = {0, 1, 0, 1, 0, 1, 1};
    const auto rows = static_cast<int64_t>(positions.size());
    // q stands inside a wider row, as in the fused projection.
    const auto qkv = Floats(static_cast<size_t>(rows * shape.qkv_cols()), 12);
    Same(std::vector<float>(static_cast<size_t>(rows * shape.q_cols())),
         [&](Backend& be, float* out) {
           const FloatView q = FloatView(const_cast<float*>(qkv.data()), rows, shape.qkv_cols())
                                   .Columns(0, shape.q_cols());
           be.Attention(q, shape, {positions, slots},
                        {KvType::kF32, const_cast<float*>(k.data()), const_cast<float*>(v.data()),
                         kCapacity},
                        {out, rows, shape.q_cols()});
         });
  }
}

// Slots of a 16-bit cache are filled through RopeStoreKv, compared, and attended to.
TEST_P(Conformance, AttentionOverA16BitCache) {
  for (const KvType type : {KvType::kF16, KvType::kBf16})
    for (const HeadShape shape : {HeadShape{4, 2, 64}, HeadShape{20, 5, 128}, HeadShape{5, 1, 100},
                                  HeadShape{3, 3, 20}, HeadShape{40, 2, 32}}) {
      constexpr int64_t kCapacity = 576;
      const int64_t dims = shape.head_dim / 2 * 2;
      const auto table = Floats(static_cast<size_t>(kCapacity * dims), 7);
      const size_t side = static_cast<size_t>(2 * kCapacity * shape.kv_cols());
      std::vector<uint16_t> memory[2];
      std::vector<float> out[2];
      Backend* backends[] = {backend_.get(), reference_.get()};
      for (int i = 0; i < 2; ++i) {
        memory[i].assign(2 * side, 0);
        const KvLayer kv{type, memory[i].data(), memory[i].data() + side, kCapacity};
        std::vector<int32_t> positions, slots;
        for (int32_t p = 0; p < 540; ++p) {
          positions.push_back(p);
          slots.push_back(p % 2);
          if (p > 300) slots.back() = 1;
        }
        const auto count = static_cast<int64_t>(positions.size());
        auto past = Floats(static_cast<size_t>(count * shape.qkv_cols()), 9);
        past[static_cast<size_t>(shape.q_cols())] = 1e-20f;  // too small, infinite, and no number
        past[static_cast<size_t>(shape.q_cols() + 1)] = std::numeric_limits<float>::infinity();
        past[static_cast<size_t>(shape.qkv_cols() - 1)] = std::numeric_limits<float>::quiet_NaN();
        backends[i]->RopeStoreKv({past.data(), count, shape.qkv_cols()}, shape,
                                 {RopeStyle::kNeox, dims, table.data(), nullptr, nullptr, 1e-6f},
                                 {positions, slots}, kv);
        // A prompt's rows in order, then single ones of either slot.
        std::vector<int32_t> at, of;
        for (int32_t p = 250; p < 300; ++p) at.push_back(p), of.push_back(0);
        for (const int32_t p : {0, 1, 15, 16, 31, 32, 255, 256, 539})
          at.push_back(p), of.push_back(1);
        const auto rows = static_cast<int64_t>(at.size());
        auto q = Floats(static_cast<size_t>(rows * shape.qkv_cols()), 12);
        out[i].assign(static_cast<size_t>(rows * shape.q_cols()), 0);
        backends[i]->Attention(
            FloatView(q.data(), rows, shape.qkv_cols()).Columns(0, shape.q_cols()), shape, {at, of},
            kv, {out[i].data(), rows, shape.q_cols()});
        // Alone, and as few: the same as in company.
        std::vector<float> alone(static_cast<size_t>(shape.q_cols()));
        backends[i]->Attention(
            FloatView(q.data() + (rows - 1) * shape.qkv_cols(), 1, shape.qkv_cols())
                .Columns(0, shape.q_cols()),
            shape, {std::span(at).last(1), std::span(of).last(1)}, kv,
            {alone.data(), 1, shape.q_cols()});
        EXPECT_EQ(std::memcmp(alone.data(), out[i].data() + (rows - 1) * shape.q_cols(),
                              alone.size() * sizeof(float)),
                  0);
      }
      EXPECT_EQ(memory[0], memory[1]);
      // An infinite key may make scores that are no numbers, in slot 0 alone; which NaN is not
      // specified.
      size_t different = 0, numbers = 0;
      for (size_t n = 0; n < out[0].size(); ++n) {
        numbers += !std::isnan(out[0][n]);
        different += std::isnan(out[0][n]) != std::isnan(out[1][n]) ||
                     (!std::isnan(out[0][n]) && out[0][n] != out[1][n]);
      }
      EXPECT_EQ(different, 0u);
      EXPECT_GE(numbers, static_cast<size_t>(9 * shape.q_cols()));
    }
}

TEST_P(Conformance, LinearGated) {
  constexpr int64_t kCols = 256;
  for (const int64_t ffn : {48, 40}) {  // whole tiles, and not
    for (const ScaleKind kind : {ScaleKind::kRow, ScaleKind::kGroup}) {
      Rng rng(3);
      std::vector<int8_t> q(static_cast<size_t>(2 * ffn * kCols));
      for (int8_t& v : q) v = static_cast<int8_t>(static_cast<int>(rng.Next() % 3) - 1);
      const ScaleSpec scale{
          kind, kind == ScaleKind::kGroup ? 128 : 0,
          Floats(static_cast<size_t>(2 * ffn * (kind == ScaleKind::kGroup ? 2 : 1)), 4)};
      const auto matrix = TernaryMatrix::FromValues(2 * ffn, kCols, q, scale);
      ASSERT_TRUE(matrix);
      for (const GateFunction function : {GateFunction::kReluSquared, GateFunction::kSilu})
        for (const int64_t rows : {1, 3, 9, 17, 70}) {
          const auto x = Floats(static_cast<size_t>(rows * kCols), 5);
          std::vector<float> scratch(static_cast<size_t>(rows * 2 * ffn));
          Same(std::vector<float>(static_cast<size_t>(rows * ffn)), [&](Backend& be, float* out) {
            const auto packed = be.Pack(*matrix);
            ASSERT_TRUE(packed);
            Input in(ActivationType::kInt8, rows, kCols, (*packed)->group());
            be.NormQuantize({const_cast<float*>(x.data()), rows, kCols}, nullptr, 0, in.view);
            be.LinearGated(in.view, **packed, function, {scratch.data(), rows, 2 * ffn},
                           {out, rows, ffn});
          });
        }
    }
  }
}

TEST_P(Conformance, GatedActivation) {
  for (const GateFunction function : {GateFunction::kReluSquared, GateFunction::kSilu}) {
    auto gate_up = Floats(3 * 2 * 203, 13);
    gate_up[0] = -300;
    gate_up[1] = 300;
    Same(std::vector<float>(3 * 203), [&](Backend& be, float* out) {
      be.GatedActivation({gate_up.data(), 3, 2 * 203}, function, {out, 3, 203});
    });
  }
}

TEST_P(Conformance, NormRows) {
  const auto x = Floats(4 * 130, 14), gain = Floats(130, 15);
  const std::vector<int32_t> ids = {3, 0};
  Same(std::vector<float>(2 * 130), [&](Backend& be, float* out) {
    be.NormRows({const_cast<float*>(x.data()), 4, 130}, ids, gain.data(), 1e-5f, {out, 2, 130});
  });
}

// Tables of every type that files have, with the bytes that dense ones point to.
struct Tables {
  static constexpr int64_t kVocab = 75, kDim = 256;

  Tables() {
    const auto values = Floats(kVocab * kDim, 16);
    for (const DType type : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ6_K}) {
      EXPECT_TRUE(EncodeRow(type, values, Storage(type)));
      Add(type, kDim);
    }
    // Any bits are codes; only the binary16 scales at the front of a block must be numbers.
    for (const DType type : {DType::kQ4_0, DType::kQ4_K}) {
      Rng rng(19);
      const std::span<std::byte> bytes = Storage(type);
      for (std::byte& b : bytes) b = static_cast<std::byte>(rng.Next());
      for (size_t at = 0; at < bytes.size(); at += static_cast<size_t>(Info(type).block_bytes))
        for (size_t high : {size_t{1}, size_t{3}}) bytes[at + high] &= std::byte{0x3b};
      Add(type, kDim);
    }
    EXPECT_TRUE(EncodeRow(DType::kF16, std::span(values).first(kVocab * 100),
                          Storage(DType::kF16).first(kVocab * 200)));
    storage.back().resize(kVocab * 200);
    Add(DType::kF16, 100);
    for (const int64_t group : {int64_t{0}, int64_t{128}, int64_t{4}}) {
      const int64_t dim = group ? kDim : 101;
      std::vector<int8_t> q(static_cast<size_t>(kVocab * dim));
      for (size_t i = 0; i < q.size(); ++i)
        q[i] = static_cast<int8_t>(static_cast<int>(i * 7 % 3) - 1);
      ScaleSpec scale{group ? ScaleKind::kGroup : ScaleKind::kRow, group, {}};
      scale.values = Floats(static_cast<size_t>(kVocab * (group ? dim / group : 1)), 18);
      all.push_back(*TernaryMatrix::FromValues(kVocab, dim, q, scale));
    }
  }

  std::vector<TableSource> all;

 private:
  std::span<std::byte> Storage(DType type) {
    return storage.emplace_back(*RowBytes(type, kVocab * kDim));
  }
  void Add(DType type, int64_t dim) {
    all.push_back(DenseMatrix{type, kVocab, dim, storage.back(), nullptr});
  }
  std::vector<std::vector<std::byte>> storage;
};

TEST_P(Conformance, EmbedAndLogitsInEveryTableTypeAndForm) {
  const Tables tables;
  for (const TableSource& table : tables.all) {
    const int64_t dim = TableCols(table);
    const auto x = Floats(static_cast<size_t>(70 * dim), 17);
    for (const TableForm form : {TableForm::kNative, TableForm::kInt8}) {
      for (const int64_t rows : {1, 2, 4, 9, 70}) {
        Same(std::vector<float>(static_cast<size_t>(rows * Tables::kVocab)),
             [&](Backend& be, float* logits) {
               const auto packed = be.PackTable(table, form);
               ASSERT_TRUE(packed);
               be.Logits({const_cast<float*>(x.data()), rows, dim}, **packed,
                         {logits, rows, Tables::kVocab});
             });
      }
      const std::vector<TokenId> ids = {0, 74, 30};
      Same(std::vector<float>(static_cast<size_t>(3 * dim)), [&](Backend& be, float* out) {
        const auto packed = be.PackTable(table, form);
        ASSERT_TRUE(packed);
        be.Embed(ids, **packed, {out, 3, dim});
      });
    }
  }
}

TEST_P(Conformance, AnInt8TableWiderThanItsSumsAllowIsRefused) {
  const std::vector<float> row(kMaxInt8TableCols + 1);
  const DenseMatrix table{DType::kF32, 1, kMaxInt8TableCols + 1, std::as_bytes(std::span(row)),
                          nullptr};
  for (Backend* be : {backend_.get(), reference_.get()}) {
    const auto packed = be->PackTable(table, TableForm::kInt8);
    ASSERT_FALSE(packed);
    EXPECT_NE(packed.error().message.find("131009 columns, expected at most 131008"),
              std::string::npos);
  }
}

TEST_P(Conformance, HalvesOfEveryBitPatternAreDecodedExactly) {
  // One row of all finite halves against a one-hot vector would hide errors in other lanes: compare
  // 64 Ki dot products of one element each.
  std::vector<uint16_t> halves(1 << 16);
  std::iota(halves.begin(), halves.end(), uint16_t{0});
  const auto bytes = std::as_bytes(std::span(halves));
  const DenseMatrix table{DType::kF16, 1 << 16, 1, bytes, nullptr};
  const auto packed = backend_->PackTable(table, TableForm::kNative);
  ASSERT_TRUE(packed);
  float one = 1;
  std::vector<float> got(1 << 16);
  backend_->Logits({&one, 1, 1}, **packed, {got.data(), 1, 1 << 16});
  for (size_t i = 0; i < got.size(); ++i) {
    const float want = HalfToFloat(static_cast<uint16_t>(i)) + 0.0f;  // -0 + 0 is 0, as in any sum
    EXPECT_TRUE(got[i] == want || (std::isnan(got[i]) && std::isnan(want))) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Conformance, testing::ValuesIn(Subjects()), [](const auto& test) {
  return test.param.backend + "_" + test.param.isa + "_" + std::to_string(test.param.threads) +
         "threads";
});

}  // namespace
}  // namespace tern
