// Ternary layers of few rows by the kernel that streams weights: the sums against plain loops, the
// norm joined with the layer against the two kernels one after the other.
#include "backend/cuda/kernels/linear_stream.h"

#include <gtest/gtest.h>

#include "unit/cuda/linear_cases.h"

namespace tern::cuda {
namespace {

using test::DeviceArray;
using test::FirstDifference;
using test::LinearCase;
using test::LinearShape;
using test::RandomFloats;
using test::Size;
using test::WantLinear;

class LinearStreamTest : public test::OnDevice {};

std::string Name(const LinearShape& s) {
  return std::to_string(s.rows) + "x" + std::to_string(s.cols) + " m " + std::to_string(s.m);
}

TEST_F(LinearStreamTest, IsTheSumOfProducts) {
  const LinearShape shapes[] = {{16, 128, 128, 1, 0},     {70, 384, 384, 2, 16},
                                {48, 100, 100, 8, 64},    {640, 2560, 2560, 9, 0},
                                {3840, 384, 384, 16, 0},  {320, 6912, 6912, 3, 48},
                                {352, 4096, 4096, 11, 0}, {96, 14336, 14336, 5, 0},
                                {9000, 256, 256, 13, 0},  {64, 24448, 24448, 1, 0}};
  int started = 0;
  for (const LinearShape& shape : shapes) {
    const LinearCase c(shape);
    const auto products = c.Products();
    for (const Gate gate : {Gate::kNone, Gate::kReluSquared, Gate::kSilu})
      for (const bool add : {false, true}) {
        if (gate != Gate::kNone && (add || shape.rows % 32 != 0)) continue;
        const int64_t y_stride = c.Outputs(gate) + shape.padding % 5;
        const auto before = RandomFloats(shape.m * y_stride, 6);
        const auto want = WantLinear(products, c, gate, add, before, y_stride);
        const DeviceArray<float> y(before);
        if (!StreamLinear(c.Args(y.data(), y_stride, add, gate), launch)) continue;
        ++started;
        ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess) << Name(shape);
        const auto got = y.Read();
        const int64_t at = FirstDifference(got, want, gate == Gate::kSilu ? 1e-5f : 0.0f);
        ASSERT_EQ(at, -1) << Name(shape) << " add " << add << ": row " << at / y_stride
                          << " column " << at % y_stride << ": " << got[Size(at)] << ", want "
                          << want[Size(at)];
      }
  }
  EXPECT_EQ(started, 32);
}

TEST_F(LinearStreamTest, JoinedWithTheNormItHasTheSameBits) {
  int started = 0;
  for (const int cols : {128, 384, 768, 2560, 4096, 6912, 14336, 17920, 24448})
    for (const int m : {1, 2, 3, 4, 7}) {
      const LinearCase c({96, cols, cols, m, (64 - cols / 16 * 16 % 64) % 64});
      auto values = RandomFloats(int64_t{m} * cols, 7);
      values[Size(cols / 2)] = 300.0f;
      const auto gain = RandomFloats(cols, 8);
      const DeviceArray<float> x(values), gains(gain), step(Size(m));
      const DeviceArray<int8_t> q(Size(m * c.stride));
      const DeviceArray<int32_t> sums(Size(m));
      for (const float* of_norm :
           {static_cast<const float*>(gains.data()), static_cast<const float*>(nullptr)}) {
        const NormArgs norm{x.data(), cols,     m,           cols,        of_norm, 1e-5f,
                            cols,     q.data(), step.data(), sums.data(), nullptr, c.stride};
        for (const Gate gate : {Gate::kNone, Gate::kSilu}) {
          const bool add = gate == Gate::kNone;
          const int outputs = c.Outputs(gate);
          const auto before = RandomFloats(int64_t{m} * outputs, 6);
          const DeviceArray<float> apart(before);
          LinearArgs args = c.Args(apart.data(), outputs, add, gate);
          args.q = q.data();
          args.step = step.data();
          args.sums = sums.data();
          NormQuantize(norm, launch);
          LinearFew(args, launch);
          const auto want = apart.Read();
          const DeviceArray<float> joined(before);
          args.y = joined.data();
          if (!StreamNormLinear(norm, args, launch)) continue;
          ++started;
          ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess) << Name(c.shape);
          ASSERT_EQ(joined.Read(), want) << Name(c.shape) << " gate " << static_cast<int>(gate);
        }
      }
    }
  EXPECT_GT(started, 80);
}

}  // namespace
}  // namespace tern::cuda
