#include <algorithm>

#include "backend/cuda/kernels/head.h"
#include "backend/cuda/kernels/ptx.cuh"

namespace tern::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTileRowBytes = 32;  // of row-major source, whatever the type
constexpr int kTilesAtOnce = 16;
constexpr int kSpanBytes = kTilesAtOnce * kTileRowBytes;
// One bank group further in each row: a warp's reads of 8 rows hit all banks once.
constexpr int kPitch = kSpanBytes + 16;

struct PackParams {
  const uint8_t* source = nullptr;
  int64_t row_bytes = 0;
  int rows = 0;            // of this piece
  uint4* tiles = nullptr;  // of the piece's first row block
  int k_tiles = 0;
  uint32_t last_byte_mask = 0xff;  // what belongs to columns, of a row's last byte
};

/// The fields of a byte of four codes, one in each byte.
__device__ __forceinline__ uint32_t Spread(uint32_t codes) {
  return (codes | codes << 6 | codes << 12 | codes << 18) & 0x03030303u;
}

/// A CTA turns 16 rows of kTilesAtOnce tiles: rows come into shared memory as they are, a warp
/// writes a tile at a time.
template <bool kTernary, bool kAligned>
__global__ void __launch_bounds__(kThreads) PackKernel(const PackParams p) {
  __shared__ __align__(16) uint8_t rows[kTileRows * kPitch];
  ReleaseSuccessor();
  WaitForPredecessor();
  const int thread = static_cast<int>(threadIdx.x);
  const int first_tile = static_cast<int>(blockIdx.x) * kTilesAtOnce;
  const int64_t first_byte = static_cast<int64_t>(first_tile) * kTileRowBytes;
  const int64_t first_row = static_cast<int64_t>(blockIdx.y) * kTileRows;
  if constexpr (kAligned) {
    for (int i = thread; i < kTileRows * kSpanBytes / 16; i += kThreads) {
      const int r = i / (kSpanBytes / 16);
      const int at = i % (kSpanBytes / 16) * 16;
      uint4 v = {};
      if (first_row + r < p.rows && first_byte + at < p.row_bytes)
        v = LoadStream(p.source + (first_row + r) * p.row_bytes + first_byte + at);
      if (first_byte + at + 16 == p.row_bytes) v.w &= p.last_byte_mask << 24 | 0xffffffu;
      *reinterpret_cast<uint4*>(rows + r * kPitch + at) = v;
    }
  } else {
    for (int i = thread; i < kTileRows * kSpanBytes; i += kThreads) {
      const int r = i / kSpanBytes;
      const int at = i % kSpanBytes;
      uint32_t v = 0;
      if (first_row + r < p.rows && first_byte + at < p.row_bytes)
        v = p.source[(first_row + r) * p.row_bytes + first_byte + at];
      if (first_byte + at + 1 == p.row_bytes) v &= p.last_byte_mask;
      rows[r * kPitch + at] = static_cast<uint8_t>(v);
    }
  }
  __syncthreads();

  const int lane = thread % 32;
  const int g = lane / 4;
  const int t = lane % 4;
  for (int tile = thread / 32; tile < kTilesAtOnce && first_tile + tile < p.k_tiles;
       tile += kThreads / 32) {
    const uint8_t* upper = rows + g * kPitch + tile * kTileRowBytes;
    const uint8_t* lower = upper + 8 * kPitch;
    uint32_t words[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if constexpr (kTernary) {
        const int at = 8 * i + t;
        words[i] = Spread(upper[at]) | Spread(lower[at]) << 2 | Spread(upper[at + 4]) << 4 |
                   Spread(lower[at + 4]) << 6;
      } else {
        const uint8_t* from = (i & 1) != 0 ? lower : upper;
        words[i] = *reinterpret_cast<const uint32_t*>(from + 16 * (i >> 1) + 4 * t);
      }
    }
    p.tiles[(blockIdx.y * static_cast<int64_t>(p.k_tiles) + first_tile + tile) * 32 + lane] =
        make_uint4(words[0], words[1], words[2], words[3]);
  }
}

}  // namespace

void PackTiles(const void* row_major, int first_row, int rows, const TiledMatrix& to,
               const Launch& launch) {
  const bool ternary = to.type == TileType::kTernary;
  PackParams params;
  params.source = static_cast<const uint8_t*>(row_major);
  if (ternary) {
    params.row_bytes = (static_cast<int64_t>(to.cols) + 3) / 4;
    params.last_byte_mask = to.cols % 4 == 0 ? 0xffu : (1u << to.cols % 4 * 2) - 1;
  } else {
    params.row_bytes = static_cast<int64_t>(to.cols) * (to.type == TileType::kInt8 ? 1 : 2);
  }
  params.k_tiles = to.k_tiles;
  const bool aligned =
      params.row_bytes % 16 == 0 && reinterpret_cast<uintptr_t>(row_major) % 16 == 0;
  auto* kernel = ternary   ? aligned ? &PackKernel<true, true> : &PackKernel<true, false>
                   : aligned ? &PackKernel<false, true>
                           : &PackKernel<false, false>;
  // The grid's y ends at 65535.
  constexpr int kMaxRows = 65535 * kTileRows;
  for (int done = 0; done < rows; done += kMaxRows) {
    params.source = static_cast<const uint8_t*>(row_major) + done * params.row_bytes;
    params.rows = std::min(rows - done, kMaxRows);
    const int64_t row_block = (static_cast<int64_t>(first_row) + done) / kTileRows;
    params.tiles = static_cast<uint4*>(const_cast<void*>(to.tiles)) + row_block * to.k_tiles * 32;
    const dim3 grid((to.k_tiles + kTilesAtOnce - 1) / kTilesAtOnce,
                    (params.rows + kTileRows - 1) / kTileRows);
    Start(launch, kernel, grid, kThreads, 0, params);
  }
}

}  // namespace tern::cuda
