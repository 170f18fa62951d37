// Norm, quantisation and ternary layers of few rows against plain loops.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "backend/cuda/kernels/linear.h"
#include "backend/cuda/kernels/norm.h"
#include "base/rng.h"
#include "unit/cuda/device.h"

namespace tern::cuda {
namespace {

using test::DeviceArray;

size_t Size(int64_t n) { return static_cast<size_t>(n); }

std::vector<float> Floats(int64_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> out(Size(n));
  for (float& v : out) v = static_cast<float>(rng.NextUnit() * 4 - 2);
  return out;
}

// A random ternary matrix, row by row and in tiles as kernels/tiles.h says.
struct Weights {
  Weights(int rows, int cols, uint64_t seed)
      : shape(TiledShape(TileType::kTernary, rows, cols)), values(Size(rows) * Size(cols)) {
    Rng rng(seed);
    for (int8_t& v : values) v = static_cast<int8_t>(static_cast<int>(rng.Next() % 3) - 1);
    tiles.resize(shape.bytes() / 4);
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < cols; ++c) {
        const int in = c % 128, step = in / 32, k = in % 32;
        const int lane = r % 8 * 4 + k % 16 / 4;
        const int i = r % 16 / 8 + 2 * (k / 16);
        const size_t word = (Size(r / 16) * Size(shape.k_tiles) + Size(c / 128)) * 128 +
                            Size(lane) * 4 + Size(step);
        tiles[word] |= static_cast<uint32_t>(values[Size(r) * Size(cols) + Size(c)] + 1)
                       << (2 * i + 8 * (k % 4));
      }
  }
  TiledMatrix shape;
  std::vector<int8_t> values;
  std::vector<uint32_t> tiles;
};

struct Rows {
  std::vector<int8_t> q;
  std::vector<float> step;
  std::vector<int32_t> sums;
};

// Random codes, the first row of extremes.
Rows RandomRows(int m, int cols, int64_t stride) {
  Rng rng(9);
  Rows rows{std::vector<int8_t>(Size(m * stride)), Floats(m, 3), {}};
  for (int r = 0; r < m; ++r) {
    int32_t sum = 0;
    for (int c = 0; c < cols; ++c) {
      int8_t& q = rows.q[Size(r * stride + c)];
      q = r == 0 ? (rng.Next() % 2 ? 127 : -128) : static_cast<int8_t>(rng.Next());
      sum += q;
    }
    rows.sums.push_back(sum);
  }
  return rows;
}

float GateOnHost(Gate gate, float x) {
  return gate == Gate::kReluSquared ? std::max(x, 0.0f) * std::max(x, 0.0f)
                                    : x / (1.0f + std::exp(-x));
}

std::vector<float> Want(const Rows& x, int m, int64_t stride, const Weights& w,
                        const std::vector<float>& scale, Gate gate, std::vector<float> y,
                        bool add) {
  const int rows = w.shape.rows, cols = w.shape.cols;
  const auto dot = [&](int r, int n) {
    int32_t sum = 0;
    for (int c = 0; c < cols; ++c)
      sum += x.q[Size(r * stride + c)] * w.values[Size(n) * Size(cols) + Size(c)];
    return static_cast<float>(sum) * (scale[Size(n)] * x.step[Size(r)]);
  };
  const int outputs = gate == Gate::kNone ? rows : rows / 2;
  for (int r = 0; r < m; ++r)
    for (int n = 0; n < outputs; ++n) {
      float value = dot(r, n);
      if (gate != Gate::kNone) value = GateOnHost(gate, value) * dot(r, n + outputs);
      float& to = y[Size(r) * Size(outputs) + Size(n)];
      to = add ? to + value : value;
    }
  return y;
}

class LinearFewTest : public test::OnDevice {};

TEST_F(LinearFewTest, IsTheSumOfProductsForEveryShape) {
  const struct {
    int rows, cols;
  } shapes[] = {{16, 128},   {70, 384},   {48, 100},   {2560, 2560},
                {3840, 256}, {640, 6912}, {64, 13824}, {32, 24448}};
  for (const auto& shape : shapes)
    for (const int m : {1, 2, 7, 8, 9, 16, 37}) {
      const int64_t stride = (shape.cols + 63) / 64 * 64 | 64;
      const Weights w(shape.rows, shape.cols, 5);
      const Rows x = RandomRows(m, shape.cols, stride);
      const auto scale = Floats(shape.rows, 4), y = Floats(int64_t{m} * shape.rows, 6);
      const DeviceArray<uint32_t> tiles(w.tiles);
      const DeviceArray<int8_t> q(x.q);
      const DeviceArray<float> step(x.step), scales(scale);
      const DeviceArray<int32_t> sums(x.sums);
      for (const Gate gate : {Gate::kNone, Gate::kReluSquared, Gate::kSilu})
        for (const bool add : {false, true}) {
          if (gate != Gate::kNone && (add || shape.rows % 32 != 0)) continue;
          const int outputs = gate == Gate::kNone ? shape.rows : shape.rows / 2;
          const std::vector<float> before(y.begin(), y.begin() + int64_t{m} * outputs);
          const DeviceArray<float> out(before);
          LinearArgs args{q.data(),      stride,     step.data(), sums.data(), m,   w.shape,
                          scales.data(), shape.cols, out.data(),  outputs,     add, gate};
          args.w.tiles = tiles.data();
          LinearFew(args, launch);
          const auto got = out.Read();
          const auto want = Want(x, m, stride, w, scale, gate, before, add);
          if (gate != Gate::kSilu) {
            ASSERT_EQ(got, want) << shape.rows << "x" << shape.cols << " m " << m << " add " << add;
            continue;
          }
          for (size_t i = 0; i < got.size(); ++i)  // two exponentials
            ASSERT_NEAR(got[i], want[i], 1e-5f * (std::fabs(want[i]) + 1e-3f)) << i;
        }
    }
}

TEST_F(LinearFewTest, JoinedWithTheNormItHasTheSameBits) {
  for (const int cols : {128, 384, 2560, 6912, 12000})
    for (const int m : {1, 2, 4, 5}) {
      const int64_t stride = cols | 64;
      const Weights w(320, cols, 5);
      const auto scale = Floats(320, 4), x = Floats(int64_t{m} * cols, 7), gain = Floats(cols, 8);
      const DeviceArray<uint32_t> tiles(w.tiles);
      const DeviceArray<float> scales(scale), rows(x), gains(gain);
      const DeviceArray<int8_t> q(std::vector<int8_t>(Size(m * stride), int8_t{77}));
      const DeviceArray<float> step(std::vector<float>(Size(m), 7.0f));
      const DeviceArray<int32_t> sums(std::vector<int32_t>(Size(m), 7));
      for (const float* g :
           {static_cast<const float*>(gains.data()), static_cast<const float*>(nullptr)}) {
        const NormArgs norm{rows.data(), cols,     m,           cols,        g,       1e-5f,
                            cols,        q.data(), step.data(), sums.data(), nullptr, stride};
        const DeviceArray<float> apart(std::vector<float>(Size(m) * 320, -1.0f)),
            joined(std::vector<float>(Size(m) * 320, -2.0f));
        LinearArgs args{q.data(),      stride, step.data(),  sums.data(), m,     w.shape,
                        scales.data(), cols,   apart.data(), 320,         false, Gate::kNone};
        args.w.tiles = tiles.data();
        NormQuantize(norm, launch);
        LinearFew(args, launch);
        const auto codes = q.Read();
        const auto steps = step.Read();
        const auto total = sums.Read();
        args.y = joined.data();
        NormLinearFew(norm, args, launch);
        EXPECT_EQ(apart.Read(), joined.Read()) << cols << " m " << m;
        // Quantised as backend.h says, up to the order of the norm's sum.
        for (int r = 0; r < m; ++r) {
          double squares = 0, largest = 0;
          for (int c = 0; c < cols; ++c) squares += std::pow(double{x[Size(r * cols + c)]}, 2);
          const double inverse = g ? 1 / std::sqrt(squares / cols + 1e-5) : 1;
          const auto value = [&](int c) {
            return x[Size(r * cols + c)] * inverse * (g ? double{gain[Size(c)]} : 1.0);
          };
          for (int c = 0; c < cols; ++c) largest = std::max(largest, std::fabs(value(c)));
          EXPECT_NEAR(steps[Size(r)], largest / 127, largest * 1e-6);
          int32_t sum = 0;
          for (int c = 0; c < cols; ++c) {
            const int8_t code = codes[Size(r * stride + c)];
            EXPECT_NEAR(code, value(c) * 127 / largest, 0.5001);
            sum += code;
          }
          EXPECT_EQ(total[Size(r)], sum);
          for (int64_t c = cols; c < stride; ++c) EXPECT_EQ(codes[Size(r * stride + c)], 0);
        }
      }
    }
}

}  // namespace
}  // namespace tern::cuda
