#include <gtest/gtest.h>

#include <vector>

#include "base/float16.h"
#include "base/rng.h"
#include "head_device.h"

namespace tern::cuda {
namespace {

struct Shape {
  int rows;
  int cols;
};
constexpr Shape kShapes[] = {{1, 1},    {15, 7},   {16, 16},   {17, 33},    {64, 128}, {53, 100},
                             {70, 101}, {33, 129}, {130, 515}, {257, 2560}, {48, 6912}};
constexpr TileType kTypes[] = {TileType::kTernary, TileType::kInt8, TileType::kF16,
                               TileType::kBf16};

size_t RowBytes(TileType type, int cols) {
  const auto n = static_cast<size_t>(cols);
  return type == TileType::kTernary ? (n + 3) / 4 : type == TileType::kInt8 ? n : 2 * n;
}

std::vector<uint8_t> RandomBytes(size_t count, uint64_t seed) {
  Rng rng(seed);
  std::vector<uint8_t> bytes(count);
  for (uint8_t& b : bytes) b = static_cast<uint8_t>(rng.Next());
  return bytes;
}

// tiles.h, an element at a time.
std::vector<uint8_t> Expected(const TiledMatrix& m, const std::vector<uint8_t>& source) {
  std::vector<uint8_t> tiles(m.bytes());
  const size_t row_bytes = RowBytes(m.type, m.cols);
  const int tile_cols = TileCols(m.type);
  for (int r = 0; r < m.rows; ++r) {
    const uint8_t* row = source.data() + static_cast<size_t>(r) * row_bytes;
    for (int c = 0; c < m.cols; ++c) {
      const int in = c % tile_cols;
      uint8_t* tile = tiles.data() + (static_cast<size_t>(r / 16) * static_cast<size_t>(m.k_tiles) +
                                      static_cast<size_t>(c / tile_cols)) *
                                         kTileBytes;
      const int g = r % 8;
      const int lower = r % 16 / 8;
      if (m.type == TileType::kTernary) {
        const int i = lower + 2 * (in % 32 / 16);
        const int t = in % 16 / 4;
        const int b = in % 4;
        const int code = row[c / 4] >> (2 * (c % 4)) & 3;
        const int bit = 2 * i + 8 * b;
        uint8_t& byte = tile[16 * (4 * g + t) + 4 * (in / 32) + bit / 8];
        byte = static_cast<uint8_t>(byte | code << (bit % 8));
      } else if (m.type == TileType::kInt8) {
        tile[16 * (4 * g + in % 16 / 4) + 4 * (lower + 2 * (in / 16)) + in % 4] = row[c];
      } else {
        uint8_t* to = tile + 16 * (4 * g + in % 8 / 2) + 4 * (lower + 2 * (in / 8)) + in % 2 * 2;
        to[0] = row[2 * c];
        to[1] = row[2 * c + 1];
      }
    }
  }
  return tiles;
}

TEST(PackTiles, PutsEachElementWhereTilesAreDefinedToHaveIt) {
  if (!HasDevice()) GTEST_SKIP() << "no CUDA device";
  for (const TileType type : kTypes) {
    for (const Shape& shape : kShapes) {
      const auto source = RandomBytes(static_cast<size_t>(shape.rows) * RowBytes(type, shape.cols),
                                      static_cast<uint64_t>(shape.rows * 7919 + shape.cols));
      for (const int piece : {1 << 20, 48}) {
        SCOPED_TRACE(testing::Message() << "type " << static_cast<int>(type) << ", " << shape.rows
                                        << " x " << shape.cols << ", pieces of " << piece);
        const PackedArray packed(type, shape.rows, shape.cols, source, piece);
        EXPECT_TRUE(packed.tiles.Read() == Expected(packed.matrix, source));
      }
    }
  }
}

TEST(Embed, GivesBackTheRowsThatWerePacked) {
  if (!HasDevice()) GTEST_SKIP() << "no CUDA device";
  for (const TileType type : {TileType::kInt8, TileType::kF16, TileType::kBf16}) {
    for (const Shape& shape : kShapes) {
      SCOPED_TRACE(testing::Message() << "type " << static_cast<int>(type) << ", " << shape.rows
                                      << " x " << shape.cols);
      const auto rows = static_cast<size_t>(shape.rows);
      const auto cols = static_cast<size_t>(shape.cols);
      auto source = RandomBytes(rows * RowBytes(type, shape.cols), 5 + rows);
      if (type != TileType::kInt8)  // no NaN, which is not equal to itself
        for (size_t i = 1; i < source.size(); i += 2) source[i] &= 0xbb;
      const PackedArray packed(type, shape.rows, shape.cols, source, 1 << 20);
      std::vector<float> steps;
      for (size_t r = 0; r < rows; ++r) steps.push_back(0.25f + static_cast<float>(r) * 0.1f);
      const DeviceArray<float> device_steps(steps);
      Rng rng(rows);
      std::vector<int32_t> ids{shape.rows - 1, 0};
      while (ids.size() < 37) ids.push_back(static_cast<int32_t>(rng.Next() % rows));
      const DeviceArray<int32_t> device_ids(ids);
      const size_t stride = cols + 3;
      const DeviceArray<float> x(ids.size() * stride);
      const std::vector<float> poison = x.Read();

      DeviceTable table;
      table.matrix = packed.matrix;
      table.steps = device_steps.data();
      Embed(device_ids.data(), static_cast<int>(ids.size()), table, x.data(),
            static_cast<int64_t>(stride), TestLaunch());
      const std::vector<float> got = x.Read();
      for (size_t i = 0; i < ids.size(); ++i) {
        const auto r = static_cast<size_t>(ids[i]);
        for (size_t c = 0; c < cols; ++c) {
          const size_t at = r * cols + c;
          float expected = 0;
          if (type == TileType::kInt8) {
            expected = static_cast<float>(static_cast<int8_t>(source[at])) * steps[r];
          } else {
            const auto bits = static_cast<uint16_t>(source[2 * at] | source[2 * at + 1] << 8);
            expected = type == TileType::kF16 ? HalfToFloat(bits) : Bf16ToFloat(bits);
          }
          ASSERT_EQ(got[i * stride + c], expected) << "row " << r << ", column " << c;
        }
        for (size_t c = cols; c < stride; ++c) ASSERT_EQ(got[i * stride + c], poison[0]);
      }
    }
  }
}

TEST(Embed, CopiesRowsOfFloats) {
  if (!HasDevice()) GTEST_SKIP() << "no CUDA device";
  std::vector<float> floats(7 * 300);
  for (size_t i = 0; i < floats.size(); ++i) floats[i] = static_cast<float>(i) * 0.5f;
  const DeviceArray<float> device_floats(floats);
  const std::vector<int32_t> ids{6, 0, 3};
  const DeviceArray<int32_t> device_ids(ids);
  const DeviceArray<float> x(3 * 300);
  DeviceTable table;
  table.matrix = TiledShape(TileType::kF16, 7, 300);
  table.floats = device_floats.data();
  Embed(device_ids.data(), 3, table, x.data(), 300, TestLaunch());
  const std::vector<float> got = x.Read();
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_EQ(got[i], floats[static_cast<size_t>(ids[i / 300]) * 300 + i % 300]) << i;
}

}  // namespace
}  // namespace tern::cuda
