// How matrices lie in device memory: in tiles that a warp reads with one 16-byte load a lane and
// that are fragments of a tensor-core instruction already.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tern::cuda {

/// Elements of a tiled matrix. kTernary: codes value + 1 in 2 bits.
enum class TileType : uint8_t { kTernary, kInt8, kF16, kBf16 };

inline constexpr int kTileRows = 16;
inline constexpr int kTileBytes = 512;

/// Columns of a tile.
inline constexpr int TileCols(TileType type) {
  return type == TileType::kTernary ? 128 : type == TileType::kInt8 ? 32 : 16;
}

/// (rows, cols) in tiles of 16 rows. Tile (rb, kt) has rows 16 rb.. and columns TileCols kt.., and
/// stands at byte (rb * k_tiles + kt) * kTileBytes; lane l of a warp has bytes 16 l..16 l + 15 of
/// it. With g = l / 4 and t = l % 4:
/// kF16, kBf16: word i (of 4): row g + 8 (i & 1), columns 8 (i >> 1) + 2t, 2t+1 of the tile.
/// kInt8: word i: row g + 8 (i & 1), columns 16 (i >> 1) + 4t..4t+3.
/// kTernary: word s (of 4) holds the same for columns 32 s..32 s + 31: bits 2i + 8b of it are row
/// g + 8 (i & 1), column 32 s + 16 (i >> 1) + 4t + b.
/// Elements beyond rows and cols are zero bits (also of kTernary: a code that adds nothing).
struct TiledMatrix {
  const void* tiles = nullptr;
  TileType type = TileType::kTernary;
  int rows = 0;
  int cols = 0;
  int row_blocks = 0;  // of 16 rows, rounded up to a multiple of 4
  int k_tiles = 0;     // rounded up

  size_t bytes() const { return static_cast<size_t>(row_blocks) * k_tiles * kTileBytes; }
};

inline TiledMatrix TiledShape(TileType type, int64_t rows, int64_t cols) {
  const int64_t tile_cols = TileCols(type);
  TiledMatrix m;
  m.type = type;
  m.rows = static_cast<int>(rows);
  m.cols = static_cast<int>(cols);
  m.row_blocks = static_cast<int>((rows + 63) / 64 * 4);
  m.k_tiles = static_cast<int>((cols + tile_cols - 1) / tile_cols);
  return m;
}

}  // namespace tern::cuda
