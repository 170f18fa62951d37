// The packed layout against its description in kernel_contract.h, byte by byte.
#include "backend/cpu/pack.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/rng.h"

namespace tern::cpu {
namespace {

struct Shape {
  int64_t rows, cols, group;  // group 0: a scale a row
};
constexpr Shape kShapes[] = {{1, 1, 0},    {16, 64, 0},   {17, 65, 0},   {5, 3, 0},   {33, 72, 0},
                             {16, 130, 0}, {48, 256, 64}, {7, 384, 128}, {2, 192, 64}};

TernaryMatrix Random(const Shape& shape) {
  Rng rng(static_cast<uint64_t>(shape.rows * 1000 + shape.cols));
  std::vector<int8_t> q(static_cast<size_t>(shape.rows * shape.cols));
  for (int8_t& v : q) v = static_cast<int8_t>(static_cast<int>(rng.Next() % 3) - 1);
  ScaleSpec scale{shape.group ? ScaleKind::kGroup : ScaleKind::kRow, shape.group, {}};
  const int64_t per_row = shape.group ? shape.cols / shape.group : 1;
  for (int64_t i = 0; i < shape.rows * per_row; ++i)
    scale.values.push_back(static_cast<float>(rng.NextUnit()));
  return TernaryMatrix::FromValues(shape.rows, shape.cols, q, std::move(scale)).value();
}

void ExpectLayout(const TernaryMatrix& matrix, const PackedMatrix& packed) {
  const int64_t padded = (matrix.cols() + 63) / 64 * 64;
  ASSERT_EQ(packed.steps, padded / 16);
  ASSERT_EQ(packed.codes.size(), static_cast<size_t>(packed.tiles() * 16 * padded / 4));
  for (int64_t r = 0; r < packed.tiles() * 16; ++r) {
    for (int64_t c = 0; c < padded; ++c) {
      const bool inside = r < matrix.rows() && c < matrix.cols();
      const int expected = inside ? matrix.At(r, c) + 1 : 1;
      const int64_t k = c % 16;
      const uint8_t byte = packed.codes[static_cast<size_t>((r / 16 * packed.steps + c / 16) * 64 +
                                                            4 * (r % 16) + k % 4)];
      ASSERT_EQ(byte >> (2 * (k / 4)) & 3, expected) << r << ", " << c;
    }
    for (int64_t g = 0; g < packed.groups; ++g)
      ASSERT_EQ(packed.scales[static_cast<size_t>((r / 16 * packed.groups + g) * 16 + r % 16)],
                r < matrix.rows() ? matrix.ScaleAt(r, g * packed.group) : 0.0f);
  }
}

TEST(Pack, PutsEveryCodeAndScaleWhereTheContractSays) {
  ThreadPool pool(3);
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(testing::Message() << shape.rows << " x " << shape.cols << " / " << shape.group);
    const TernaryMatrix matrix = Random(shape);
    ExpectLayout(matrix, PackN16k4(matrix).value());
    ExpectLayout(matrix, PackN16k4(matrix, &pool).value());
  }
}

TEST(Pack, ABlobIsTheMatrixAgain) {
  for (const Shape& shape : kShapes) {
    const TernaryMatrix matrix = Random(shape);
    const PackedMatrix packed = PackN16k4(matrix).value();
    const auto again =
        FromBlob(packed.rows, packed.cols, packed.group, packed.blob, packed.owner).value();
    EXPECT_EQ(again.codes.data(), packed.codes.data());
    ExpectLayout(matrix, again);
  }
}

TEST(Pack, ABlobOfAnotherShapeIsRefused) {
  const PackedMatrix packed = PackN16k4(Random({32, 128, 0})).value();
  const auto message = [&](int64_t rows, int64_t cols, int64_t group,
                           std::span<const std::byte> blob) {
    const auto result = FromBlob(rows, cols, group, blob, packed.owner);
    return result ? "" : result.error().message;
  };
  EXPECT_EQ(message(32, 128, 128, packed.blob), "");
  EXPECT_NE(message(48, 128, 128, packed.blob), "");
  EXPECT_NE(message(32, 192, 192, packed.blob), "");
  EXPECT_NE(message(32, 128, 64, packed.blob), "");
  EXPECT_NE(message(32, 128, 32, packed.blob), "");
  EXPECT_NE(message(0, 128, 128, packed.blob), "");
  EXPECT_NE(message(32, -128, -128, packed.blob), "");
  EXPECT_NE(message(int64_t{1} << 62, 128, 128, packed.blob), "");
  EXPECT_NE(message(32, 128, 128, packed.blob.first(packed.blob.size() - 4)), "");
  EXPECT_NE(message(16, 128, 128, packed.blob.subspan(4, packed.blob.size() / 2)), "");
}

TEST(Pack, GroupsThatAreNotWholeStepsAreRefused) {
  const auto packed = PackN16k4(Random({4, 96, 32}));
  ASSERT_FALSE(packed);
  EXPECT_EQ(packed.error().code, Code::kUnsupported);
}

}  // namespace
}  // namespace tern::cpu
