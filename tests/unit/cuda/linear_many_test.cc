// Ternary layers of many rows, in every form the kernel has, against plain loops.
#include "backend/cuda/kernels/linear_many.h"

#include <gtest/gtest.h>

#include "unit/cuda/linear_cases.h"

namespace tern::cuda {
namespace {

using test::FirstDifference;
using test::LinearCase;
using test::LinearShape;
using test::RandomFloats;
using test::Size;
using test::WantLinear;

class LinearManyTest : public test::OnDevice {
 protected:
  void SetUp() override {
    OnDevice::SetUp();
    if (!IsSkipped() && launch.compute != 90) GTEST_SKIP() << "not a Hopper GPU";
  }

  // What y becomes, from what stands in it before.
  std::vector<float> Run(const LinearCase& c, const ManyForm& form, Gate gate, bool add,
                         const std::vector<float>& before, int64_t y_stride) {
    const test::DeviceArray<float> y(before);
    LinearManyAs(c.Args(y.data(), y_stride, add, gate), form, launch);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    return y.Read();
  }
};

std::vector<ManyForm> Forms(int k_tiles, Gate gate) {
  std::vector<ManyForm> forms;
  for (const int blocks : {1, 2})
    for (const int tokens : {32, 64, 96, 128, 160})
      for (int split = 1; split <= std::min(8, k_tiles); ++split)
        for (int slots = 0; slots <= (split == 1 && tokens >= 96 ? 2 : 0); ++slots)
          if (gate == Gate::kNone || blocks == 2) forms.push_back({tokens, blocks, split, slots});
  return forms;
}

std::string Name(const LinearShape& s, const ManyForm& f, int64_t at, int64_t y_stride) {
  return std::to_string(s.rows) + "x" + std::to_string(s.cols) + " m " + std::to_string(s.m) +
         ", tokens " + std::to_string(f.tokens) + " blocks " + std::to_string(f.blocks) +
         " split " + std::to_string(f.split) + " slots " + std::to_string(f.slots) + ": row " +
         std::to_string(at / y_stride) + " column " + std::to_string(at % y_stride);
}

TEST_F(LinearManyTest, EveryFormIsTheSumOfProducts) {
  const LinearShape shapes[] = {
      {40, 100, 100, 17, 0},     {48, 384, 384, 33, 64},   {70, 1000, 1000, 65, 16},
      {300, 1280, 1280, 130, 0}, {640, 128, 128, 161, 48}, {1000, 2560, 2560, 40, 64},
      {3840, 384, 384, 97, 0},   {256, 6912, 6912, 31, 0},
  };
  for (const LinearShape& shape : shapes) {
    const LinearCase c(shape);
    const int64_t y_stride = shape.rows + shape.padding % 5;
    const auto products = c.Products(), before = RandomFloats(shape.m * y_stride, 6);
    for (const bool add : {false, true}) {
      const auto want = WantLinear(products, c, Gate::kNone, add, before, y_stride);
      for (const ManyForm& form : Forms(c.matrix.k_tiles, Gate::kNone)) {
        const auto got = Run(c, form, Gate::kNone, add, before, y_stride);
        const int64_t at = FirstDifference(got, want);
        ASSERT_EQ(at, -1) << Name(shape, form, at, y_stride) << " add " << add << ": "
                          << got[Size(at)] << ", want " << want[Size(at)];
      }
    }
  }
}

TEST_F(LinearManyTest, EveryFormGates) {
  const LinearShape shapes[] = {{96, 100, 100, 17, 0},
                                {640, 1280, 1280, 130, 64},
                                {1056, 384, 384, 70, 0},
                                {544, 2560, 2560, 33, 0}};
  for (const LinearShape& shape : shapes) {
    const LinearCase c(shape);
    const int64_t y_stride = shape.rows / 2 + (shape.padding > 0 ? 4 : 3);
    const auto products = c.Products(), before = RandomFloats(shape.m * y_stride, 6);
    for (const Gate gate : {Gate::kReluSquared, Gate::kSilu}) {
      const auto want = WantLinear(products, c, gate, false, before, y_stride);
      for (const ManyForm& form : Forms(c.matrix.k_tiles, gate)) {
        const auto got = Run(c, form, gate, false, before, y_stride);
        const int64_t at = FirstDifference(got, want, gate == Gate::kSilu ? 1e-5f : 0);
        ASSERT_EQ(at, -1) << Name(shape, form, at, y_stride) << ": " << got[Size(at)] << ", want "
                          << want[Size(at)];
      }
    }
  }
}

TEST_F(LinearManyTest, TilesFollowEachOtherInABlock) {
  // More tiles than blocks of the GPU; few columns, so that the ring turns within several tiles.
  for (const LinearShape& shape :
       {LinearShape{2000, 128, 128, 1111, 0}, LinearShape{1400, 900, 900, 2050, 64}}) {
    const LinearCase c(shape);
    const auto products = c.Products(), before = RandomFloats(int64_t{shape.m} * shape.rows, 6);
    for (const int tokens : {32, 128, 160})
      for (const int blocks : {1, 2})
        for (const int slots : {0, 1, 2}) {
          const ManyForm form = {tokens, blocks, 1, slots};
          const auto got = Run(c, form, Gate::kNone, false, before, shape.rows);
          const int64_t at = FirstDifference(got, products);
          ASSERT_EQ(at, -1) << Name(shape, form, at, shape.rows);
        }
  }
}

TEST_F(LinearManyTest, FewRowsAndManyHaveTheSameBits) {
  const LinearShape shape = {1280, 2560, 2560, 48, 64};
  const LinearCase c(shape);
  for (const Gate gate : {Gate::kNone, Gate::kReluSquared, Gate::kSilu}) {
    const int outputs = c.Outputs(gate);
    const std::vector<float> before(Size(int64_t{shape.m} * outputs), -1.0f);
    const test::DeviceArray<float> few(before), many(before);
    LinearFew(c.Args(few.data(), outputs, false, gate), launch);
    LinearMany(c.Args(many.data(), outputs, false, gate), launch);
    EXPECT_EQ(few.Read(), many.Read());
  }
}

TEST_F(LinearManyTest, AFormIsChosenForEveryShape) {
  for (const int m : {1, 17, 100, 300, 1000, 5000})
    for (const Gate gate : {Gate::kNone, Gate::kSilu})
      for (const int rows : {32, 640, 13824}) {
        LinearArgs args;
        args.m = m;
        args.w = TiledShape(TileType::kTernary, rows, 300);
        args.gate = gate;
        const ManyForm form = ChooseManyForm(args, launch.multiprocessors);
        EXPECT_TRUE(form.split <= args.w.k_tiles && (gate == Gate::kNone || form.blocks == 2) &&
                    (form.split == 1 || form.slots == 0));
      }
}

}  // namespace
}  // namespace tern::cuda
