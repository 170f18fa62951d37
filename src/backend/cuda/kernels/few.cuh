// What the kernels for few rows share: how a warp gets its tiles, and the product of one.
//
// Codes come out of a word with one AND each: of two words, the codes at bits 2i of each byte are
// two registers of a fragment, and count 4^i times. Odd i are rows 8 below even i, so a product of
// i = 0, 1 and one of i = 2, 3 have sums of their own, in which all of a row count the same.
#pragma once

#include <algorithm>

#include "backend/cuda/kernels/norm.cuh"
#include "backend/cuda/kernels/ptx.cuh"
#include "backend/cuda/kernels/tiles.h"

namespace tern::cuda {

inline constexpr int kAhead = 10;  // tiles of a warp on their way

/// Products of tiles of one block of 16 rows.
struct TileSums {
  int low[4] = {};   // of codes at bits 0 to 3
  int high[4] = {};  // and 4 to 7

  /// Half a tile: words 2 s, 2 s + 1 of a lane's four. b[2 i + h]: codes of columns 32 i + 16 h +
  /// 4t.. of the half, of token g.
  __device__ __forceinline__ void MultiplyHalf(uint32_t w0, uint32_t w1, uint32_t b0, uint32_t b1,
                                               uint32_t b2, uint32_t b3) {
    const uint32_t l[4] = {w0 & 0x03030303u, w0 & 0x0c0c0c0cu, w1 & 0x03030303u, w1 & 0x0c0c0c0cu};
    const uint32_t h[4] = {w0 & 0x30303030u, w0 & 0xc0c0c0c0u, w1 & 0x30303030u, w1 & 0xc0c0c0c0u};
    MmaU8S8(low, l, b0, b2);
    MmaU8S8(high, h, b1, b3);
  }
  __device__ __forceinline__ void Multiply(uint4 tile, const uint32_t (&b)[8]) {
    MultiplyHalf(tile.x, tile.y, b[0], b[1], b[2], b[3]);
    MultiplyHalf(tile.z, tile.w, b[4], b[5], b[6], b[7]);
  }
  /// Element i of a product (ptx.cuh, MmaU8S8): row g for i < 2, then g + 8, whose codes were 4
  /// times as big.
  __device__ __forceinline__ int Total(int i) const {
    return i < 2 ? low[i] + (high[i] >> 4) : (low[i] >> 2) + (high[i] >> 6);
  }
};

/// The same with half the registers: codes at bits 4 to 7 are moved down before they are multiplied.
struct SmallTileSums {
  int low[4] = {};

  __device__ __forceinline__ void MultiplyHalf(uint32_t w0, uint32_t w1, uint32_t b0, uint32_t b1,
                                               uint32_t b2, uint32_t b3) {
    const uint32_t l[4] = {w0 & 0x03030303u, w0 & 0x0c0c0c0cu, w1 & 0x03030303u, w1 & 0x0c0c0c0cu};
    MmaU8S8(low, l, b0, b2);
    w0 >>= 4, w1 >>= 4;
    const uint32_t h[4] = {w0 & 0x03030303u, w0 & 0x0c0c0c0cu, w1 & 0x03030303u, w1 & 0x0c0c0c0cu};
    MmaU8S8(low, h, b1, b3);
  }
  __device__ __forceinline__ int Total(int i) const { return i < 2 ? low[i] : low[i] >> 2; }
};

/// A warp's tiles, in the order block by block, through shared memory. A lane fetches what it reads
/// itself, so nobody has to wait for others; a group of copies a tile.
class TileRing {
 public:
  /// memory: (warps, slots) tiles. first: the first tile; the warp has k_count of a block's k_tiles
  /// and `blocks` blocks; after `jump_after` of them come `jump` that are others'.
  __device__ __forceinline__ TileRing(unsigned char* memory, int slots, const char* first,
                                      int k_tiles, int k_count, int blocks, int jump_after, int jump)
      : begin_(SharedAddress(memory) + threadIdx.x / 32 * slots * kTileBytes +
               threadIdx.x % 32 * 16),
        end_(begin_ + slots * kTileBytes),
        read_(begin_),
        write_(begin_),
        next_(first + threadIdx.x % 32 * 16),
        block_gap_((k_tiles - k_count) * kTileBytes),
        k_count_(k_count),
        k_left_(k_count),
        left_(blocks * k_count),
        jump_after_(jump_after),
        jump_(static_cast<int64_t>(jump) * k_tiles * kTileBytes) {}

  __device__ __forceinline__ void Fill() {
#pragma unroll 1
    for (int i = 0; i < kAhead; ++i) Fetch();
  }

  __device__ __forceinline__ uint4 Next() {
    WaitCopies<kAhead - 1>();
    const uint4 tile = LoadShared16(read_);
    read_ += kTileBytes;
    if (read_ == end_) read_ = begin_;
    Fetch();
    return tile;
  }

 private:
  __device__ __forceinline__ void Fetch() {
    if (left_ > 0) {
      --left_;
      CopyAsync16(write_, next_);
      write_ += kTileBytes;
      if (write_ == end_) write_ = begin_;
      next_ += kTileBytes;
      if (--k_left_ == 0) {
        k_left_ = k_count_;
        next_ += block_gap_;
        if (--jump_after_ == 0) next_ += jump_;
      }
    }
    CommitCopies();
  }

  const uint32_t begin_, end_;  // shared addresses
  uint32_t read_, write_;
  const char* next_;
  const int block_gap_;  // bytes
  const int k_count_;
  int k_left_, left_, jump_after_;
  const int64_t jump_;
};

/// Lets a kernel have so many bytes of shared memory.
template <class Kernel>
void PrepareShared(Kernel* kernel, size_t bytes) {
  (void)cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes));
}

/// Calls run<tiles>() for the tiles of a warp in a row of so many columns.
template <class Run>
void WithTiles(int cols, Run run) {
  switch (ShareOfRow(cols).tiles) {
    case 1:
      return run.template operator()<1>();
    case 2:
      return run.template operator()<2>();
    case 3:
      return run.template operator()<3>();
    case 4:
      return run.template operator()<4>();
    default:
      return run.template operator()<6>();
  }
}

}  // namespace tern::cuda
