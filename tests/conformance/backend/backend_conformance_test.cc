// Every backend and every instruction set against the reference backend: the same bits from each
// operation.
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "base/float16.h"
#include "conformance/backend/fixture.h"

namespace tern {
namespace {

using test::Floats;

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

class Conformance : public test::BackendConformance {};

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

INSTANTIATE_TEST_SUITE_P(All, Conformance, testing::ValuesIn(test::Subjects()), test::SubjectName);

}  // namespace
}  // namespace tern
