#include "backend/reference/reference_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "base/exp.h"
#include "base/math.h"
#include "base/rng.h"
#include "support/shared_data.h"

namespace tern {
namespace {

std::vector<float> RandomFloats(size_t n, uint64_t seed, float scale = 1) {
  Rng rng(seed);
  std::vector<float> out(n);
  for (float& v : out) v = static_cast<float>(rng.NextUnit() * 2 - 1) * scale;
  return out;
}

template <class T>
std::vector<T> ReadArray(const char* name) {
  const std::string bytes = test::ReadFile(std::filesystem::path(TERN_TEST_DATA) / "act" / name);
  std::vector<T> out(bytes.size() / sizeof(T));
  std::memcpy(out.data(), bytes.data(), out.size() * sizeof(T));
  return out;
}

// Oracle: bitnet.cpp's per-token quantiser, compiled and run (tests/data/act: 4 rows of 2560).
TEST(QuantizeGroup, GivesBitnetCppsBytesAndScales) {
  const auto in = ReadArray<float>("act_i8_old.in.f32");
  const auto want = ReadArray<int8_t>("act_i8_old.out.i8");
  const auto scales = ReadArray<float>("act_i8_old.scale.f32");
  constexpr size_t kCols = 2560;
  ASSERT_EQ(in.size(), 4 * kCols);
  for (size_t r = 0; r < 4; ++r) {
    std::vector<int8_t> q(kCols);
    EXPECT_EQ(QuantizeGroup(in.data() + r * kCols, kCols, q.data()), scales[r]) << "row " << r;
    EXPECT_TRUE(
        std::equal(q.begin(), q.end(), want.begin() + static_cast<std::ptrdiff_t>(r * kCols)))
        << "row " << r;
  }
}

TEST(QuantizeGroup, RoundsHalvesToEven) {
  const std::vector<float> x = {127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -127};
  std::vector<int8_t> q(x.size());
  EXPECT_EQ(QuantizeGroup(x.data(), x.size(), q.data()), 1.0f);
  EXPECT_EQ(q, (std::vector<int8_t>{127, 0, 2, 2, 0, -2, -127}));
}

TEST(QuantizeGroup, OfZerosIsZerosWithAFiniteScale) {
  const std::vector<float> x(64, 0.0f);
  std::vector<int8_t> q(64, 1);
  EXPECT_TRUE(std::isfinite(QuantizeGroup(x.data(), 64, q.data())));
  EXPECT_EQ(q, std::vector<int8_t>(64, 0));
}

TEST(DotInt8, IsExactAtItsExtremes) {
  const std::vector<int8_t> low(4096, -128), high(4096, 127), ones(4096, 1);
  EXPECT_EQ(DotInt8(low.data(), ones.data(), 4096), -128 * 4096);
  EXPECT_EQ(DotInt8(high.data(), high.data(), 4096), 127 * 127 * 4096);
}

TEST(RmsNormRow, MatchesDoublePrecision) {
  const auto x = RandomFloats(333, 1), gain = RandomFloats(333, 2);
  std::vector<float> out(333);
  RmsNormRow(x.data(), gain.data(), 1e-5f, 333, out.data());
  double sum = 0;
  for (const float v : x) sum += double{v} * v;
  for (size_t i = 0; i < 333; ++i) {
    const double want = x[i] / std::sqrt(sum / 333 + 1e-5) * gain[i];
    EXPECT_NEAR(out[i], want, 1e-6 * std::abs(want) + 1e-9);
  }
}

TEST(RmsNormRow, WithoutGainCopies) {
  const auto x = RandomFloats(17, 3);
  std::vector<float> out(17);
  RmsNormRow(x.data(), nullptr, 1e-5f, 17, out.data());
  EXPECT_EQ(out, x);
}

struct DotCase {
  ActivationType type;
  ScaleKind scales;
};

class RowDotTest : public testing::TestWithParam<DotCase> {};

// Oracle: dequantised weights times activations, summed in double.
TEST_P(RowDotTest, MatchesTheDequantisedProduct) {
  constexpr int64_t kRows = 3, kCols = 256, kGroup = 64;
  Rng rng(7);
  std::vector<int8_t> q(kRows * kCols);
  for (int8_t& v : q) v = static_cast<int8_t>(static_cast<int>(rng.Next() % 3) - 1);
  ScaleSpec scale{GetParam().scales, GetParam().scales == ScaleKind::kGroup ? kGroup : 0, {}};
  const size_t count = scale.kind == ScaleKind::kTensor ? 1
                       : scale.kind == ScaleKind::kRow  ? kRows
                                                        : kRows * kCols / kGroup;
  for (size_t i = 0; i < count; ++i) scale.values.push_back(0.5f + static_cast<float>(i) * 0.125f);
  const auto matrix = TernaryMatrix::FromValues(kRows, kCols, q, scale);
  ASSERT_TRUE(matrix) << matrix.error().message;

  const int64_t group = scale.kind == ScaleKind::kGroup ? kGroup : kCols;
  const std::vector<float> x = RandomFloats(kCols, 8);
  std::vector<int8_t> xq(kCols);
  std::vector<float> step(kCols / kGroup), values(kCols);
  std::vector<int32_t> sums(kCols / kGroup);
  const LinearInput input{GetParam().type, 1,           kCols,       group,        kCols,
                          xq.data(),       step.data(), sums.data(), values.data()};
  StoreInputRow(x.data(), input, 0);
  for (int64_t n = 0; n < kRows; ++n) {
    double want = 0;
    for (int64_t c = 0; c < kCols; ++c) {
      const auto i = static_cast<size_t>(c);
      const double in = input.type == ActivationType::kInt8
                            ? xq[i] * double{step[static_cast<size_t>(c / group)]}
                            : x[i];
      want += in * q[static_cast<size_t>(n * kCols + c)] * matrix->ScaleAt(n, c);
    }
    EXPECT_NEAR(RowDot(input, 0, q.data() + n * kCols, *matrix, n, group), want, 2e-5);
  }
}

TEST(StoreInputRow, QuantisesByGroupsWithSumsAndZeroPadding) {
  std::vector<float> x(128, 0.25f);
  x[3] = -1;
  x[127] = 8;
  std::vector<int8_t> q(192, 99);
  std::vector<float> step(2);
  std::vector<int32_t> sums(2);
  StoreInputRow(
      x.data(),
      {ActivationType::kInt8, 1, 128, 64, 192, q.data(), step.data(), sums.data(), nullptr}, 0);
  EXPECT_EQ(q[3], -127);
  EXPECT_EQ(q[0], 32);  // 31.75
  EXPECT_EQ(q[127], 127);
  EXPECT_EQ(q[64], 4);  // 3.97
  EXPECT_EQ(sums[0], 63 * 32 - 127);
  EXPECT_EQ(sums[1], 63 * 4 + 127);
  EXPECT_FLOAT_EQ(step[1], 8 / 127.0f);
  EXPECT_EQ(std::count(q.begin() + 128, q.end(), 0), 64);
}

INSTANTIATE_TEST_SUITE_P(All, RowDotTest,
                         testing::Values(DotCase{ActivationType::kInt8, ScaleKind::kTensor},
                                         DotCase{ActivationType::kInt8, ScaleKind::kRow},
                                         DotCase{ActivationType::kInt8, ScaleKind::kGroup},
                                         DotCase{ActivationType::kFloat, ScaleKind::kTensor},
                                         DotCase{ActivationType::kFloat, ScaleKind::kRow},
                                         DotCase{ActivationType::kFloat, ScaleKind::kGroup}));

TEST(TurnHead, BothStylesTurnTheSamePairsInTheirOwnPlaces) {
  const std::vector<float> x = {1, 2, 3, 4},
                           cos_sin = {0.6f, 1, 0.8f, 0};  // angle of pair 0: cos .6, sin .8
  std::vector<float> neox = x, interleaved = x;
  TurnHead(neox.data(), RopeStyle::kNeox, 4, cos_sin.data());
  TurnHead(interleaved.data(), RopeStyle::kInterleaved, 4, cos_sin.data());
  EXPECT_FLOAT_EQ(neox[0], 1 * 0.6f - 3 * 0.8f);
  EXPECT_FLOAT_EQ(neox[2], 3 * 0.6f + 1 * 0.8f);
  EXPECT_FLOAT_EQ(neox[1], 2);
  EXPECT_FLOAT_EQ(interleaved[0], 1 * 0.6f - 2 * 0.8f);
  EXPECT_FLOAT_EQ(interleaved[1], 2 * 0.6f + 1 * 0.8f);
  EXPECT_FLOAT_EQ(interleaved[3], 4);
}

TEST(AttendHead, MatchesSoftmaxInDouble) {
  constexpr size_t kDim = 24, kPositions = 2 * kAttentionBlock + 37;
  const auto q = RandomFloats(kDim, 11, 3), k = RandomFloats(kDim * kPositions, 12, 3),
             v = RandomFloats(kDim * kPositions, 13);
  std::vector<float> out(kDim);
  KvRows<float> rows{{}, {}, kPositions};
  for (size_t p = 0; p < kPositions; p += kBlockPositions) {
    rows.k.push_back(&k[p * kDim]);
    rows.v.push_back(&v[p * kDim]);
  }
  AttendHead(q.data(), rows, 0.25f, kDim, out.data());
  std::vector<double> p(kPositions);
  double total = 0;
  for (size_t t = 0; t < kPositions; ++t) {
    double dot = 0;
    for (size_t d = 0; d < kDim; ++d) dot += double{q[d]} * k[t * kDim + d];
    total += p[t] = std::exp(dot * 0.25);
  }
  for (size_t d = 0; d < kDim; ++d) {
    double want = 0;
    for (size_t t = 0; t < kPositions; ++t) want += p[t] / total * v[t * kDim + d];
    EXPECT_NEAR(out[d], want, 1e-6);
  }
}

TEST(Exp, IsWithinFourUlpOfTheTrueValue) {
  for (float x = -87; x < 88; x += 0.0173f) {
    const double want = std::exp(double{x});
    EXPECT_NEAR(Exp(x), want, 4 * std::ldexp(1.0, std::ilogb(want) - 23)) << x;
  }
  EXPECT_EQ(Exp(0), 1);
  EXPECT_EQ(Exp(-INFINITY), 0);
  EXPECT_TRUE(std::isnan(Exp(NAN)));
}

TEST(Gate, IsSquaredReluOrSilu) {
  EXPECT_EQ(Gate(GateFunction::kReluSquared, -2), 0);
  EXPECT_EQ(Gate(GateFunction::kReluSquared, 3), 9);
  EXPECT_NEAR(Gate(GateFunction::kSilu, 1), 0.731058579, 1e-7);
  EXPECT_NEAR(Gate(GateFunction::kSilu, -200), 0, 1e-30);
}

}  // namespace
}  // namespace tern
