// Ternary layers with scales of groups, and of floats, against plain loops.
#include <gtest/gtest.h>

#include <string>

#include "unit/cuda/linear_cases.h"

namespace tern::cuda {
namespace {

using test::FirstDifference;
using test::LinearCase;
using test::LinearShape;
using test::RandomFloats;
using test::Size;
using test::WantLinear;

class LinearGroupedTest : public test::OnDevice {};

std::string Name(const LinearShape& s, Gate gate, bool add, int64_t at, int64_t y_stride) {
  return std::to_string(s.rows) + "x" + std::to_string(s.cols) + " group " +
         std::to_string(s.group) + " m " + std::to_string(s.m) + " gate " +
         std::to_string(static_cast<int>(gate)) + " add " + std::to_string(add) + ": row " +
         std::to_string(at / y_stride) + " column " + std::to_string(at % y_stride);
}

TEST_F(LinearGroupedTest, AddsGroupsInOrder) {
  const struct {
    int rows, cols, group;
  } matrices[] = {{40, 128, 64},  {70, 384, 128},   {96, 960, 96},  {160, 2560, 128},
                  {64, 6912, 64}, {320, 512, 256},  {32, 320, 32},  {96, 100, 20},
                  {48, 36, 4},    {32, 3072, 1024}, {32, 130, 130}, {512, 480, 48}};
  for (const auto& matrix : matrices)
    for (const int m : {1, 7, 16, 17, 64, 65, 131}) {
      const LinearShape shape = {matrix.rows, matrix.cols, matrix.group, m, m % 2 * 16};
      const LinearCase c(shape);
      const auto products = c.Products();
      for (const Gate gate : {Gate::kNone, Gate::kReluSquared, Gate::kSilu})
        for (const bool add : {false, true}) {
          if (gate != Gate::kNone && (add || matrix.rows % 32 != 0)) continue;
          const int64_t y_stride = c.Outputs(gate) + m % 3;
          const auto before = RandomFloats(m * y_stride, 6);
          const auto want = WantLinear(products, c, gate, add, before, y_stride);
          const test::DeviceArray<float> y(before);
          LinearGrouped(c.Args(y.data(), y_stride, add, gate), launch);
          const auto got = y.Read();
          const int64_t at = FirstDifference(got, want, gate == Gate::kSilu ? 1e-5f : 0);
          ASSERT_EQ(at, -1) << Name(shape, gate, add, at, y_stride) << ": " << got[Size(at)]
                            << ", want " << want[Size(at)];
        }
    }
}

TEST_F(LinearGroupedTest, SumsOfFloatsAreClose) {
  for (const LinearShape& shape :
       {LinearShape{48, 100, 20, 3, 0}, LinearShape{70, 2560, 2560, 17, 0},
        LinearShape{33, 384, 128, 5, 0}, LinearShape{64, 130, 13, 2, 0}}) {
    const LinearCase c(shape);
    const int64_t stride = shape.cols + 3;
    const auto x = RandomFloats(shape.m * stride, 11);
    const test::DeviceArray<float> device_x(x);
    const auto before = RandomFloats(int64_t{shape.m} * shape.rows, 6);
    const test::DeviceArray<float> y(before);
    LinearFloat(device_x.data(), stride, c.Args(y.data(), shape.rows, true, Gate::kNone), launch);
    const auto got = y.Read();
    for (int r = 0; r < shape.m; ++r)
      for (int n = 0; n < shape.rows; ++n) {
        const size_t at = Size(int64_t{r} * shape.rows + n);
        double sum = before[at], size = std::fabs(before[at]);
        for (int i = 0; i < shape.cols; ++i) {
          const double product = double{x[Size(r * stride + i)]} * c.Weight(n, i) *
                                 double{c.scale[Size(int64_t{n} * c.groups + i / shape.group)]};
          sum += product;
          size += std::fabs(product);
        }
        ASSERT_NEAR(got[at], sum, 1e-5 * std::max(size / 10, 1.0)) << r << " " << n;
      }
  }
}

TEST_F(LinearGroupedTest, FloatsAreGated) {
  const LinearCase c({64, 256, 64, 4, 0});
  const auto x = RandomFloats(4 * 256, 11);
  const test::DeviceArray<float> device_x(x);
  const std::vector<float> zeros(Size(4 * 64));
  const test::DeviceArray<float> products(zeros), y(std::vector<float>(Size(4 * 32), -1.0f));
  LinearFloat(device_x.data(), 256, c.Args(products.data(), 64, false, Gate::kNone), launch);
  LinearFloat(device_x.data(), 256, c.Args(y.data(), 32, false, Gate::kReluSquared), launch);
  EXPECT_EQ(y.Read(), WantLinear(products.Read(), c, Gate::kReluSquared, false,
                                 std::vector<float>(Size(4 * 32)), 32));
}

}  // namespace
}  // namespace tern::cuda
