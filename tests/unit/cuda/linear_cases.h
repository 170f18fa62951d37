// Ternary layers on the host, for tests of the kernels that compute them: plain loops.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "backend/cuda/kernels/linear.h"
#include "base/rng.h"
#include "unit/cuda/device.h"

namespace tern::test {

inline size_t Size(int64_t n) { return static_cast<size_t>(n); }

inline std::vector<float> RandomFloats(int64_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> out(Size(n));
  for (float& v : out) v = static_cast<float>(rng.NextUnit() * 4 - 2);
  return out;
}

struct LinearShape {
  int rows = 0;
  int cols = 0;
  int group = 0;  // cols unless said
  int m = 0;
  int64_t padding = 0;  // of q's rows
};

/// A layer with random weights and inputs. Row 0 of q has extremes where the first rows of w have
/// no zeros, so that one of the sums is as large as it can be.
class LinearCase {
 public:
  explicit LinearCase(const LinearShape& s)
      : shape(s),
        groups(s.cols / s.group),
        stride((s.cols + 15) / 16 * 16 + s.padding),
        matrix(cuda::TiledShape(cuda::TileType::kTernary, s.rows, s.cols)),
        weights(Size(int64_t{s.rows} * s.cols)),
        q(Size(s.m * stride)),
        step(RandomFloats(int64_t{s.m} * groups, 3)),
        sums(Size(int64_t{s.m} * groups)),
        scale(RandomFloats(int64_t{s.rows} * groups, 4)) {
    Rng rng(static_cast<uint64_t>(s.rows + s.cols + s.m));
    for (int8_t& v : weights) v = static_cast<int8_t>(static_cast<int>(rng.Next() % 3) - 1);
    for (int c = 0; c < s.cols; ++c) {
      weights[Size(c)] = rng.Next() % 2 ? 1 : -1;
      if (s.rows > 1) weights[Size(s.cols + c)] = 1;
    }
    std::vector<uint32_t> words(matrix.bytes() / 4);
    for (int r = 0; r < s.rows; ++r)
      for (int c = 0; c < s.cols; ++c) {
        const int in = c % 128, k = in % 32;
        const int lane = r % 8 * 4 + k % 16 / 4, i = r % 16 / 8 + 2 * (k / 16);
        words[(Size(r / 16) * Size(matrix.k_tiles) + Size(c / 128)) * 128 +
              Size(lane * 4 + in / 32)] |= static_cast<uint32_t>(Weight(r, c) + 1)
                                           << (2 * i + 8 * (k % 4));
      }
    for (int r = 0; r < s.m; ++r)
      for (int c = 0; c < s.cols; ++c) {
        int8_t& code = q[Size(r * stride + c)];
        code = static_cast<int8_t>(rng.Next());
        if (r == 0) code = Weight(0, c) > 0 ? 127 : -128;
        if (r == 1) code = -128;
        sums[Size(int64_t{r} * groups + c / s.group)] += code;
      }
    device_tiles = std::make_unique<DeviceArray<uint32_t>>(words);
    device_q = std::make_unique<DeviceArray<int8_t>>(q);
    device_step = std::make_unique<DeviceArray<float>>(step);
    device_sums = std::make_unique<DeviceArray<int32_t>>(sums);
    device_scale = std::make_unique<DeviceArray<float>>(scale);
  }

  int Outputs(cuda::Gate gate) const {
    return gate == cuda::Gate::kNone ? shape.rows : shape.rows / 2;
  }

  cuda::LinearArgs Args(float* y, int64_t y_stride, bool add, cuda::Gate gate) const {
    cuda::LinearArgs args{device_q->data(),
                          stride,
                          device_step->data(),
                          device_sums->data(),
                          shape.m,
                          matrix,
                          device_scale->data(),
                          shape.group,
                          y,
                          y_stride,
                          add,
                          gate};
    args.w.tiles = device_tiles->data();
    return args;
  }

  /// (m, rows): scaled sums, groups added in increasing order.
  std::vector<float> Products() const {
    std::vector<float> out(Size(int64_t{shape.m} * shape.rows));
    for (int r = 0; r < shape.m; ++r)
      for (int n = 0; n < shape.rows; ++n) {
        float total = 0;
        for (int g = 0; g < groups; ++g) {
          const int8_t* x = q.data() + r * stride + g * shape.group;
          const int8_t* w = weights.data() + int64_t{n} * shape.cols + g * shape.group;
          int32_t sum = 0;
          for (int c = 0; c < shape.group; ++c) sum += x[c] * w[c];
          const float part = static_cast<float>(sum) * (scale[Size(int64_t{n} * groups + g)] *
                                                        step[Size(int64_t{r} * groups + g)]);
          total = g == 0 ? part : total + part;
        }
        out[Size(int64_t{r} * shape.rows + n)] = total;
      }
    return out;
  }

  int8_t Weight(int r, int c) const { return weights[Size(int64_t{r} * shape.cols + c)]; }

  LinearShape shape;
  int groups;
  int64_t stride;
  cuda::TiledMatrix matrix;
  std::vector<int8_t> weights;  // (rows, cols)
  std::vector<int8_t> q;        // (m, stride)
  std::vector<float> step;      // (m, groups)
  std::vector<int32_t> sums;    // (m, groups)
  std::vector<float> scale;     // (rows, groups)
  std::unique_ptr<DeviceArray<uint32_t>> device_tiles;
  std::unique_ptr<DeviceArray<int8_t>> device_q;
  std::unique_ptr<DeviceArray<float>> device_step, device_scale;
  std::unique_ptr<DeviceArray<int32_t>> device_sums;
};

/// What y (m, y_stride) is to be after products (m, rows) have been gated, and stored or added.
inline std::vector<float> WantLinear(const std::vector<float>& products, const LinearCase& c,
                                     cuda::Gate gate, bool add, std::vector<float> y,
                                     int64_t y_stride) {
  const int outputs = c.Outputs(gate);
  for (int r = 0; r < c.shape.m; ++r)
    for (int n = 0; n < outputs; ++n) {
      const float* of_row = products.data() + int64_t{r} * c.shape.rows;
      float value = of_row[n];
      if (gate == cuda::Gate::kReluSquared)
        value = std::max(value, 0.0f) * std::max(value, 0.0f) * of_row[n + outputs];
      if (gate == cuda::Gate::kSilu)
        value = value / (1.0f + std::exp(-value)) * of_row[n + outputs];
      float& to = y[Size(r * y_stride + n)];
      to = add ? to + value : value;
    }
  return y;
}

/// The first element that differs by more than `tolerance` relative to the larger of it and 1e-3;
/// -1: none. Tolerance 0: other bits.
inline int64_t FirstDifference(const std::vector<float>& got, const std::vector<float>& want,
                               float tolerance = 0) {
  for (size_t i = 0; i < want.size(); ++i) {
    const bool same = tolerance == 0 ? got[i] == want[i]
                                     : std::fabs(got[i] - want[i]) <=
                                           tolerance * std::max(std::fabs(want[i]), 1e-3f);
    if (!same) return static_cast<int64_t>(i);
  }
  return -1;
}

}  // namespace tern::test
