// Every backend and every instruction set against the reference backend: the same bits from each
// operation; on a GPU, up to rounding where floats are summed.
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "base/float16.h"
#include "conformance/backend/fixture.h"

namespace tern {
namespace {

using test::BackendArray;
using test::Floats;

// A few units in the last place of a float sum.
constexpr double kRounding = 1e-5;

size_t Size(int64_t n) { return static_cast<size_t>(n); }

// A linear input with memory of its own.
struct Input {
  Input(Backend& backend, ActivationType type, int64_t rows, int64_t cols, int64_t group)
      : stride((cols + kInputPadding - 1) / kInputPadding * kInputPadding),
        q(backend, std::vector<int8_t>(Size(rows * stride), 77)),
        step(backend, std::vector<float>(Size(rows * (cols / group)))),
        sums(backend, std::vector<int32_t>(Size(rows * (cols / group)))),
        values(backend, std::vector<float>(Size(rows * stride), 77.0f)),
        view{type, rows, cols, group, stride, q.data(), step.data(), sums.data(), values.data()} {}

  int64_t stride;
  BackendArray<int8_t> q;
  BackendArray<float> step;
  BackendArray<int32_t> sums;
  BackendArray<float> values;
  LinearInput view;
};

class Conformance : public test::BackendConformance {
 protected:
  // Codes at most `apart` apart, steps alike, and sums that are those of the codes.
  void SameRows(const Input& got, const Input& want, int apart) {
    const auto q = got.q.Read(), want_q = want.q.Read();
    const auto sums = got.sums.Read();
    const LinearInput& in = got.view;
    for (int64_t r = 0; r < in.rows; ++r) {
      int32_t sum = 0;
      for (int64_t c = 0; c < in.stride; ++c) {
        const auto i = Size(r * in.stride + c);
        ASSERT_LE(std::abs(q[i] - want_q[i]), c < in.cols ? apart : 0)
            << "row " << r << ", column " << c << ": " << int{q[i]} << " and " << int{want_q[i]};
        sum += q[i];
      }
      EXPECT_EQ(sums[Size(r)], sum) << "row " << r;
    }
    ExpectSame(got.step.Read(), want.step.Read(), apart > 0 ? kRounding : 0);
  }
};

TEST_P(Conformance, NormQuantize) {
  for (const int64_t cols : {64, 100, 384, 2560}) {
    const auto x = Floats(Size(5 * cols), 1), gain = Floats(Size(cols), 2);
    for (const bool with_gain : {true, false}) {
      Input inputs[] = {{*backend_, ActivationType::kInt8, 5, cols, cols},
                        {*reference_, ActivationType::kInt8, 5, cols, cols}};
      for (const int i : {0, 1}) {
        Backend& be = i == 0 ? *backend_ : *reference_;
        const BackendArray<float> x_there(be, x), gain_there(be, gain);
        be.NormQuantize({x_there.data(), 5, cols}, with_gain ? gain_there.data() : nullptr, 1e-5f,
                        inputs[i].view);
      }
      // A norm that is a little off may round a value to the next code.
      SameRows(inputs[0], inputs[1], with_gain && own_order() ? 1 : 0);
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
  Input a(*backend_, ActivationType::kInt8, 6, 64, 64);
  Input b(*reference_, ActivationType::kInt8, 6, 64, 64);
  const BackendArray<float> x_a(*backend_, x), x_b(*reference_, x);
  backend_->NormQuantize({x_a.data(), 6, 64}, nullptr, 1e-5f, a.view);
  reference_->NormQuantize({x_b.data(), 6, 64}, nullptr, 1e-5f, b.view);
  EXPECT_EQ(a.q.Read(), b.q.Read());
  EXPECT_EQ(a.sums.Read(), b.sums.Read());
  ExpectSame(a.step.Read(), b.step.Read());
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
          Same(
              Floats(static_cast<size_t>(rows * kRows), 6),
              [&](Backend& be, float* y) {
                const auto packed = be.Pack(*matrix);
                ASSERT_TRUE(packed);
                Input in(be, type, rows, kCols, (*packed)->group());
                const BackendArray<float> from(be, x);
                be.NormQuantize({from.data(), rows, kCols}, nullptr, 0, in.view);
                be.Linear(in.view, **packed, {y, rows, kRows}, epilogue);
              },
              type == ActivationType::kFloat ? kRounding : 0);
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
          Same(
              std::vector<float>(static_cast<size_t>(rows * ffn)),
              [&](Backend& be, float* out) {
                const auto packed = be.Pack(*matrix);
                ASSERT_TRUE(packed);
                Input in(be, ActivationType::kInt8, rows, kCols, (*packed)->group());
                const BackendArray<float> from(be, x);
                const BackendArray<float> scratch(be, std::vector<float>(Size(rows * 2 * ffn)));
                be.NormQuantize({from.data(), rows, kCols}, nullptr, 0, in.view);
                be.LinearGated(in.view, **packed, function, {scratch.data(), rows, 2 * ffn},
                               {out, rows, ffn});
              },
              function == GateFunction::kSilu ? kRounding : 0);
        }
    }
  }
}

TEST_P(Conformance, GatedActivation) {
  for (const GateFunction function : {GateFunction::kReluSquared, GateFunction::kSilu}) {
    auto gate_up = Floats(3 * 2 * 203, 13);
    gate_up[0] = -300;
    gate_up[1] = 300;
    Same(
        std::vector<float>(3 * 203),
        [&](Backend& be, float* out) {
          const BackendArray<float> from(be, gate_up);
          be.GatedActivation({from.data(), 3, 2 * 203}, function, {out, 3, 203});
        },
        function == GateFunction::kSilu ? kRounding : 0);
  }
}

TEST_P(Conformance, NormRows) {
  const auto x = Floats(4 * 130, 14), gain = Floats(130, 15);
  const std::vector<int32_t> ids = {3, 0};
  Same(
      std::vector<float>(2 * 130),
      [&](Backend& be, float* out) {
        const BackendArray<float> from(be, x), gain_there(be, gain);
        be.NormRows({from.data(), 4, 130}, ids, gain_there.data(), 1e-5f, {out, 2, 130});
      },
      kRounding);
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
        Same(
            std::vector<float>(static_cast<size_t>(rows * Tables::kVocab)),
            [&](Backend& be, float* logits) {
              const auto packed = be.PackTable(table, form);
              ASSERT_TRUE(packed);
              const BackendArray<float> from(be, x);
              be.Logits({from.data(), rows, dim}, **packed, {logits, rows, Tables::kVocab});
            },
            form == TableForm::kNative ? kRounding : 0);
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
  const BackendArray<float> one(*backend_, std::vector<float>{1});
  const BackendArray<float> logits(*backend_, std::vector<float>(1 << 16));
  backend_->Logits({one.data(), 1, 1}, **packed, {logits.data(), 1, 1 << 16});
  const std::vector<float> got = logits.Read();
  for (size_t i = 0; i < got.size(); ++i) {
    const float want = HalfToFloat(static_cast<uint16_t>(i)) + 0.0f;  // -0 + 0 is 0, as in any sum
    // Where x is two parts, an infinite weight times the part that is zero is no number.
    const bool no_number = std::isnan(want) || (own_order() && std::isinf(want));
    EXPECT_TRUE(got[i] == want || (std::isnan(got[i]) && no_number)) << i;
  }
}

TEST_P(Conformance, TooMuchMemoryIsAnErrorAndNoMore) {
  const auto refused = backend_->Allocate(size_t{1} << 60);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_NE(refused.error().message.find("1152921504606846976 bytes"), std::string::npos)
      << refused.error().message;
  const Status after = backend_->Synchronize();
  EXPECT_TRUE(after) << after.error().message;
  const auto values = Floats(1000, 20);
  const BackendArray<float> array(*backend_, values);
  EXPECT_EQ(array.Read(), values);
}

// What a backend may do in one step is the same as in two.
TEST_P(Conformance, JoinedOperationsAreTheirParts) {
  constexpr int64_t kCols = 384, kFfn = 96;
  Rng rng(3);
  std::vector<int8_t> q(2 * kFfn * kCols);
  for (int8_t& v : q) v = static_cast<int8_t>(static_cast<int>(rng.Next() % 3) - 1);
  const auto matrix = TernaryMatrix::FromValues(
      2 * kFfn, kCols, q, {ScaleKind::kRow, 0, Floats(static_cast<size_t>(2 * kFfn), 4)});
  ASSERT_TRUE(matrix);
  Backend& be = *backend_;
  const auto packed = be.Pack(*matrix);
  ASSERT_TRUE(packed);
  const BackendArray<float> gain(be, Floats(kCols, 2));
  for (const int64_t rows : {1, 2, 8, 40}) {
    const BackendArray<float> x(be, Floats(Size(rows * kCols), 5));
    const FloatView from(x.data(), rows, kCols);
    const auto run = [&](int64_t cols, auto op) {
      Input in(be, ActivationType::kInt8, rows, kCols, kCols);
      const BackendArray<float> y(be, Floats(Size(rows * cols), 6));
      op(in.view, FloatView(y.data(), rows, cols));
      return y.Read();
    };
    for (const Epilogue epilogue : {Epilogue::kStore, Epilogue::kAdd})
      EXPECT_EQ(run(2 * kFfn,
                    [&](const LinearInput& in, FloatView y) {
                      be.NormLinear(from, gain.data(), 1e-5f, in, **packed, y, epilogue);
                    }),
                run(2 * kFfn,
                    [&](const LinearInput& in, FloatView y) {
                      be.NormQuantize(from, gain.data(), 1e-5f, in);
                      be.Linear(in, **packed, y, epilogue);
                    }))
          << rows << " rows";
    const BackendArray<float> scratch(be, std::vector<float>(Size(rows * 2 * kFfn)));
    const FloatView both(scratch.data(), rows, 2 * kFfn);
    for (const GateFunction function : {GateFunction::kReluSquared, GateFunction::kSilu})
      EXPECT_EQ(run(kFfn,
                    [&](const LinearInput& in, FloatView y) {
                      be.NormLinearGated(from, gain.data(), 1e-5f, in, **packed, function, both, y);
                    }),
                run(kFfn,
                    [&](const LinearInput& in, FloatView y) {
                      be.NormQuantize(from, gain.data(), 1e-5f, in);
                      be.Linear(in, **packed, both, Epilogue::kStore);
                      be.GatedActivation(both, function, y);
                    }))
          << rows << " rows";
  }
}

INSTANTIATE_TEST_SUITE_P(Gpu, Conformance, testing::ValuesIn(test::GpuSubjects()),
                         test::SubjectName);
INSTANTIATE_TEST_SUITE_P(All, Conformance, testing::ValuesIn(test::Subjects()), test::SubjectName);

}  // namespace
}  // namespace tern
