#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <optional>
#include <vector>

#include "backend/cuda/kernels/head_kernels.h"
#include "backend/reference/reference_math.h"
#include "base/float16.h"
#include "base/rng.h"
#include "head_device.h"

namespace tern::cuda {
namespace {

constexpr int kMost = 256;
constexpr int kRowCounts[] = {1, 2, 4, 5, 8, 9, 16, 17, 33, 64, 70, 100, 129, 200, kMost};

float Random(Rng& rng) { return static_cast<float>(rng.NextUnit() * 2 - 1); }

struct Problem {
  TileType type = TileType::kF16;
  size_t rows = 0;
  size_t cols = 0;
  size_t x_stride = 0;
  size_t logits_stride = 0;
  std::vector<uint8_t> bytes;  // of the table
  std::vector<float> steps;
  std::vector<float> table;  // kInt8: codes
  std::vector<float> x;

  Problem(TileType tile_type, size_t table_rows, size_t table_cols, float x_size)
      : type(tile_type),
        rows(table_rows),
        cols(table_cols),
        x_stride(cols + 5),
        logits_stride(rows + 3) {
    Rng rng(rows * 131 + cols);
    for (size_t i = 0; i < rows * cols; ++i) {
      const float w = Random(rng) * 0.1f;
      if (type == TileType::kInt8) {
        const auto q = static_cast<int8_t>(rng.Next() % 255 - 127);
        bytes.push_back(static_cast<uint8_t>(q));
        table.push_back(q);
      } else {
        const uint16_t bits = type == TileType::kF16 ? FloatToHalf(w) : FloatToBf16(w);
        bytes.push_back(static_cast<uint8_t>(bits));
        bytes.push_back(static_cast<uint8_t>(bits >> 8));
        table.push_back(type == TileType::kF16 ? HalfToFloat(bits) : Bf16ToFloat(bits));
      }
    }
    for (size_t r = 0; r < rows; ++r)
      steps.push_back(static_cast<float>(rng.NextUnit() * 1e-3 + 1e-6));
    x.assign(kMost * x_stride, NAN);
    for (size_t r = 0; r < kMost; ++r)
      for (size_t c = 0; c < cols; ++c)
        x[r * x_stride + c] = r == 3 ? 0 : x_size * Random(rng) * (c % 97 == 5 ? 50.0f : 1.0f);
  }
};

// Logits of the first m rows, stride and all; without a kernel, by the one that Logits takes.
std::vector<float> Run(const Problem& p, const DeviceTable& table, const DeviceArray<float>& x,
                       int m, std::optional<HeadKernel> kernel = {}) {
  DeviceArray<float> logits(static_cast<size_t>(m) * p.logits_stride);
  const DeviceArray<uint8_t> scratch(HeadScratchBytes(m, static_cast<int>(p.cols)));
  HeadArgs args;
  args.x = x.data();
  args.x_stride = static_cast<int64_t>(p.x_stride);
  args.m = m;
  args.table = table;
  args.logits = logits.data();
  args.logits_stride = static_cast<int64_t>(p.logits_stride);
  args.scratch = scratch.data();
  if (kernel)
    LogitsWith(*kernel, args, TestLaunch());
  else
    Logits(args, TestLaunch());
  return logits.Read();
}

void ExpectRight(const Problem& p, const std::vector<float>& logits) {
  double worst = 0;
  for (size_t r = 0; r < kMost; ++r) {
    const float* row = p.x.data() + r * p.x_stride;
    std::vector<int8_t> q(p.cols);
    const float x_step = 1.0f / QuantizeGroup(row, p.cols, q.data());
    for (size_t n = 0; n < p.rows; ++n) {
      const float got = logits[r * p.logits_stride + n];
      const float* w = p.table.data() + n * p.cols;
      if (p.type == TileType::kInt8) {
        int32_t sum = 0;
        for (size_t c = 0; c < p.cols; ++c) sum += q[c] * static_cast<int32_t>(w[c]);
        ASSERT_EQ(got, static_cast<float>(sum) * (p.steps[n] * x_step)) << r << ", " << n;
        continue;
      }
      double sum = 0;
      double size = 1e-300;
      for (size_t c = 0; c < p.cols; ++c) {
        const double product = static_cast<double>(row[c]) * static_cast<double>(w[c]);
        sum += product;
        size += std::fabs(product);
      }
      const double error = std::fabs(got - sum) / size;
      worst = std::max(worst, error);
      // High and low part have 22 or 16 bits; the rest are the sums, which mma truncates.
      ASSERT_LE(error, p.type == TileType::kF16 ? 1e-5 : 1.5e-5)
          << "row " << r << ", token " << n << ": " << got << ", expected " << sum;
    }
  }
  testing::Test::RecordProperty("worst", std::to_string(worst));
}

void ExpectBorders(const Problem& p, const std::vector<float>& logits) {
  const auto poison = static_cast<int>(0xa5a5a5a5u);
  for (size_t first = p.rows; first < logits.size(); first += p.logits_stride)
    for (size_t i = first; i < first + 3; ++i) {
      int bits = 0;
      std::memcpy(&bits, &logits[i], sizeof bits);
      ASSERT_EQ(bits, poison) << i;
    }
}

void Check(const Problem& p, const DeviceTable& table) {
  const DeviceArray<float> x(p.x);
  const std::vector<float> all = Run(p, table, x, kMost);
  ExpectRight(p, all);
  std::vector<std::optional<HeadKernel>> kernels{std::nullopt};
  if (table.matrix.tiles != nullptr)
    kernels = {std::nullopt, HeadKernel::kStream, HeadKernel::kWgmma, HeadKernel::kTiled};
  for (const int m : kRowCounts) {
    for (const auto kernel : kernels) {
      if (kernel && !CanUse(*kernel, p.type, m, table.matrix.k_tiles, TestLaunch())) continue;
      SCOPED_TRACE(testing::Message()
                   << "m " << m << ", kernel " << (kernel ? static_cast<int>(*kernel) : -1));
      const std::vector<float> got = Run(p, table, x, m, kernel);
      ExpectBorders(p, got);
      for (size_t r = 0; r < static_cast<size_t>(m); ++r) {
        const size_t at = r * p.logits_stride;
        ASSERT_EQ(std::memcmp(&got[at], &all[at], p.rows * sizeof(float)), 0) << "row " << r;
      }
    }
  }
}

class HeadTest : public testing::TestWithParam<TileType> {};

TEST_P(HeadTest, LogitsAreRightAndNoRowKnowsOfTheOthers) {
  if (!HasDevice()) GTEST_SKIP() << "no CUDA device";
  struct Shape {
    size_t rows;
    size_t cols;
  };
  for (const Shape shape :
       {Shape{53, 64}, {64, 100}, {1000, 101}, {17, 1}, {2049, 384}, {300, 2560}, {40, 11008}}) {
    for (const float x_size : {1.0f, 1e-6f, 3e5f}) {
      if (x_size != 1 && shape.rows > 64) continue;
      SCOPED_TRACE(testing::Message() << shape.rows << " x " << shape.cols << ", x of " << x_size);
      const Problem p(GetParam(), shape.rows, shape.cols, x_size);
      const PackedArray packed(p.type, static_cast<int>(p.rows), static_cast<int>(p.cols), p.bytes,
                               1 << 20);
      const DeviceArray<float> steps(p.steps);
      DeviceTable table;
      table.matrix = packed.matrix;
      table.steps = steps.data();
      Check(p, table);
      if (HasFatalFailure()) return;
    }
  }
}

// More row blocks than warps in flight: runs of several row blocks in the streaming kernel.
TEST_P(HeadTest, ALongTableIsRead) {
  if (!HasDevice()) GTEST_SKIP() << "no CUDA device";
  const Problem p(GetParam(), 40000, 80, 1);
  const PackedArray packed(p.type, static_cast<int>(p.rows), static_cast<int>(p.cols), p.bytes,
                           1 << 20);
  const DeviceArray<float> steps(p.steps);
  DeviceTable table;
  table.matrix = packed.matrix;
  table.steps = steps.data();
  Check(p, table);
}

INSTANTIATE_TEST_SUITE_P(Types, HeadTest,
                         testing::Values(TileType::kInt8, TileType::kF16, TileType::kBf16));

TEST(HeadFloatsTest, LogitsAreRightAndNoRowKnowsOfTheOthers) {
  if (!HasDevice()) GTEST_SKIP() << "no CUDA device";
  const Problem p(TileType::kF16, 333, 101, 1);
  const DeviceArray<float> floats(p.table);
  DeviceTable table;
  table.matrix = TiledShape(TileType::kF16, 333, 101);
  table.floats = floats.data();
  Check(p, table);
}

}  // namespace
}  // namespace tern::cuda
