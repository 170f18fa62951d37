// Ternary layers whose scales belong to groups of columns, and ternary layers of floats. A group's
// sum is exact; groups are added in float in increasing order, so that the bits are those of the
// reference whatever the shape of the work. Many rows: a warp keeps the totals of its tile and
// walks the columns. Few rows: the warps of a block share the columns, leave the groups' results in
// shared memory, and add them up in order afterwards.
#include <algorithm>

#include "backend/cuda/kernels/linear.h"
#include "backend/cuda/kernels/norm.cuh"
#include "backend/cuda/kernels/ptx.cuh"

namespace tern::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * 32;

// A group's result, in exactly this order.
__device__ __forceinline__ float Part(int sum, float scale, float step) {
  return __fmul_rn(static_cast<float>(sum), __fmul_rn(scale, step));
}

__device__ __forceinline__ void StoreOutput(const LinearArgs& a, int token, int n, float value) {
  float* y = a.y + token * a.y_stride + n;
  *y = a.add ? __fadd_rn(*y, value) : value;
}

__device__ __forceinline__ const char* TilesOf(const TiledMatrix& w, int row_block) {
  return static_cast<const char*>(w.tiles) +
         static_cast<int64_t>(row_block) * w.k_tiles * kTileBytes;
}

__device__ __forceinline__ void Unpack(uint32_t word, uint32_t (&fragment)[4]) {
  fragment[0] = Codes<0>(word);
  fragment[1] = Codes<1>(word);
  fragment[2] = Codes<2>(word);
  fragment[3] = Codes<3>(word);
}

// ---- Many rows: 128 rows of w (with a gate, and the 128 they gate) times kTokens rows of q.

constexpr int kTokens = 64;
constexpr int kStages = 3;
constexpr int kRowBytes = 128 + 16;  // rows of q in shared memory; 8 of them in 32 banks
constexpr int kStageBytes = kTokens * kRowBytes;

template <bool kGated>
__global__ void __launch_bounds__(kThreads) GroupedMany(LinearArgs a) {
  constexpr int kParts = kGated ? 2 : 1;
  __shared__ __align__(16) unsigned char ring[kStages * kStageBytes];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int first_token = blockIdx.y * kTokens;
  const int half = a.w.rows / 2;
  const int row_block = blockIdx.x * kWarps + warp;
  const int outputs = kGated ? half : a.w.rows;
  const bool works = row_block * kTileRows < outputs;
  const int groups = a.w.cols / a.group, steps_of_group = a.group / 32;
  const char* tiles[kParts];
  int rows[kParts][2];
#pragma unroll
  for (int p = 0; p < kParts; ++p) {
    tiles[p] = TilesOf(a.w, (works ? row_block : 0) + p * half / kTileRows) + lane * 16;
    for (int i = 0; i < 2; ++i)
      rows[p][i] = min(row_block * kTileRows + p * half + g + 8 * i, a.w.rows - 1);
  }
  ReleaseSuccessor();
  WaitForPredecessor();
  const auto fetch = [&](int kt) {
    if (kt < a.w.k_tiles)
      for (int i = threadIdx.x; i < kTokens * 8; i += kThreads) {
        const int token = first_token + i / 8, column = kt * 128 + i % 8 * 16;
        const bool valid = token < a.m && column < a.q_stride;
        CopyAsync16(ring + kt % kStages * kStageBytes + i / 8 * kRowBytes + i % 8 * 16,
                    valid ? a.q + token * a.q_stride + column : a.q, valid);
      }
    CommitCopies();
  };
  for (int kt = 0; kt < kStages - 1; ++kt) fetch(kt);

  int sums[kParts][kTokens / 8][4] = {};
  float totals[kParts][kTokens / 8][4] = {};
  int group = 0, step_in_group = 0;
  uint4 next[kParts];
  for (int p = 0; p < kParts; ++p) next[p] = LoadStream(tiles[p]);
  for (int kt = 0; kt < a.w.k_tiles; ++kt) {
    WaitCopies<kStages - 2>();
    __syncthreads();
    fetch(kt + kStages - 1);
    uint32_t words[kParts][4];
#pragma unroll
    for (int p = 0; p < kParts; ++p) {
      words[p][0] = next[p].x, words[p][1] = next[p].y;
      words[p][2] = next[p].z, words[p][3] = next[p].w;
      if (kt + 1 < a.w.k_tiles) next[p] = LoadStream(tiles[p] + (kt + 1) * kTileBytes);
    }
    // ldmatrix: lane l names row l % 8 of matrix l / 8; matrices 0, 1: 8 tokens, 16 columns each.
    const unsigned char* stage = ring + kt % kStages * kStageBytes +
                                 (lane / 16 * 8 + lane % 8) * kRowBytes + lane / 8 % 2 * 16;
#pragma unroll
    for (int s = 0; s < 4; ++s) {
      if (group == groups) break;  // padding of the last tile
      uint32_t fragment[kParts][4];
#pragma unroll
      for (int p = 0; p < kParts; ++p) Unpack(words[p][s], fragment[p]);
#pragma unroll
      for (int j = 0; j < kTokens / 8; j += 2) {
        uint32_t b[4];
        LoadMatrix4(b, stage + j * 8 * kRowBytes + s * 32);
#pragma unroll
        for (int p = 0; p < kParts; ++p) {
          MmaU8S8(sums[p][j], fragment[p], b[0], b[1]);
          MmaU8S8(sums[p][j + 1], fragment[p], b[2], b[3]);
        }
      }
      if (++step_in_group < steps_of_group) continue;
      step_in_group = 0;
      float scale[kParts][2];
#pragma unroll
      for (int p = 0; p < kParts; ++p)
        for (int i = 0; i < 2; ++i)
          scale[p][i] = a.scale[static_cast<int64_t>(rows[p][i]) * groups + group];
#pragma unroll
      for (int j = 0; j < kTokens / 8; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int token = first_token + 8 * j + 2 * t + e;
          if (token >= a.m) continue;
          const int64_t at = static_cast<int64_t>(token) * groups + group;
          const float step = a.step[at];
          const int sum = a.sums[at];
#pragma unroll
          for (int p = 0; p < kParts; ++p)
#pragma unroll
            for (int i = 0; i < 2; ++i) {
              const float part = Part(sums[p][j][2 * i + e] - sum, scale[p][i], step);
              float& total = totals[p][j][2 * i + e];
              total = group == 0 ? part : __fadd_rn(total, part);
              sums[p][j][2 * i + e] = 0;
            }
        }
      ++group;
    }
  }
  if (!works) return;
#pragma unroll
  for (int j = 0; j < kTokens / 8; ++j)
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int token = first_token + 8 * j + 2 * t + (e & 1);
      const int n = row_block * kTileRows + g + 8 * (e >> 1);
      if (token >= a.m || n >= outputs) continue;
      if constexpr (kGated)
        StoreOutput(a, token, n, GateOf(a.gate, totals[0][j][e]) * totals[1][j][e]);
      else
        StoreOutput(a, token, n, totals[0][j][e]);
    }
}

// ---- Few rows: 16 rows of w (with a gate, and the 16 they gate) times 8 rows of q.

constexpr int kFewTokens = 8;
constexpr int kChunkGroups = 32;  // whose results are in shared memory at a time

template <bool kGated>
__global__ void __launch_bounds__(kThreads) GroupedFew(LinearArgs a) {
  constexpr int kParts = kGated ? 2 : 1;
  constexpr int kTile = kTileRows * kFewTokens;
  __shared__ float results[kParts][kChunkGroups][kTile];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int first_token = blockIdx.y * kFewTokens;
  const int half = a.w.rows / 2, row_block = blockIdx.x;
  const int groups = a.w.cols / a.group, steps_of_group = a.group / 32;
  ReleaseSuccessor();
  WaitForPredecessor();
  const int8_t* q = a.q + min(first_token + g, a.m - 1) * a.q_stride + t * 4;
  float total = 0;  // of thread (part, row, token)
  for (int first = 0; first < groups; first += kChunkGroups) {
    const int count = min(kChunkGroups, groups - first);
    for (int i = warp; i < count; i += kWarps) {
      const int group = first + i;
      int sums[kParts][4] = {};
      const int begin = group * steps_of_group, end = begin + steps_of_group;
      uint4 words[kParts];
      for (int step = begin; step < end; ++step) {
        const uint32_t b0 = *reinterpret_cast<const uint32_t*>(q + step * 32);
        const uint32_t b1 = *reinterpret_cast<const uint32_t*>(q + step * 32 + 16);
#pragma unroll
        for (int p = 0; p < kParts; ++p) {
          if (step == begin || step % 4 == 0)
            words[p] = LoadStream(TilesOf(a.w, row_block + p * half / kTileRows) +
                                  static_cast<int64_t>(step / 4) * kTileBytes + lane * 16);
          const uint32_t low = step % 2 == 0 ? words[p].x : words[p].y;
          const uint32_t high = step % 2 == 0 ? words[p].z : words[p].w;
          uint32_t fragment[4];
          Unpack(step % 4 < 2 ? low : high, fragment);
          MmaU8S8(sums[p], fragment, b0, b1);
        }
      }
#pragma unroll
      for (int p = 0; p < kParts; ++p)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int r = g + 8 * (e >> 1), column = 2 * t + (e & 1);
          const int token = min(first_token + column, a.m - 1);
          const int row = min(row_block * kTileRows + p * half + r, a.w.rows - 1);
          const int64_t at = static_cast<int64_t>(token) * groups + group;
          results[p][i][r * kFewTokens + column] =
              Part(sums[p][e] - a.sums[at], a.scale[static_cast<int64_t>(row) * groups + group],
                   a.step[at]);
        }
    }
    __syncthreads();
    if (threadIdx.x < kParts * kTile) {
      const int p = threadIdx.x / kTile, at = threadIdx.x % kTile;
      for (int i = 0; i < count; ++i)
        total = first + i == 0 ? results[p][0][at] : __fadd_rn(total, results[p][i][at]);
    }
    __syncthreads();
  }
  if (kGated && threadIdx.x >= kTile && threadIdx.x < 2 * kTile)
    results[1][0][threadIdx.x - kTile] = total;
  if (kGated) __syncthreads();
  if (threadIdx.x >= kTile) return;
  const int n = row_block * kTileRows + threadIdx.x / kFewTokens;
  const int token = first_token + threadIdx.x % kFewTokens;
  if (token >= a.m || n >= (kGated ? half : a.w.rows)) return;
  StoreOutput(a, token, n,
              kGated ? GateOf(a.gate, total) * results[kParts - 1][0][threadIdx.x] : total);
}

// ---- Any group, and floats: a warp takes a row of w; lane l has columns 4l..4l + 3 of a tile.

__device__ __forceinline__ uint32_t FourCodes(const TiledMatrix& w, int row, int kt, int lane) {
  const int at = (row % 8 * 4 + lane % 4) * 4 + lane / 8;
  const int i = row % kTileRows / 8 + 2 * (lane / 4 % 2);
  const auto* words =
      reinterpret_cast<const uint32_t*>(TilesOf(w, row / kTileRows) + kt * kTileBytes);
  return (words[at] >> (2 * i)) & 0x03030303u;
}

// Groups of any number of columns, one after the other.
__device__ float AnyGroupDot(const LinearArgs& a, int token, int row, int lane) {
  const int groups = a.w.cols / a.group;
  float total = 0;
  for (int group = 0; group < groups; ++group) {
    const int begin = group * a.group, end = begin + a.group;
    int sum = 0;
    for (int c = begin / 4 * 4 + lane * 4; c < end; c += 128) {
      const uint32_t codes = FourCodes(a.w, row, c / 128, c % 128 / 4);
      for (int e = 0; e < 4; ++e)
        if (c + e >= begin && c + e < end)
          sum += static_cast<int>((codes >> (8 * e)) & 3) * a.q[token * a.q_stride + c + e];
    }
    sum = __reduce_add_sync(~0u, sum);
    const int64_t at = static_cast<int64_t>(token) * groups + group;
    const float part =
        Part(sum - a.sums[at], a.scale[static_cast<int64_t>(row) * groups + group], a.step[at]);
    total = group == 0 ? part : __fadd_rn(total, part);
  }
  return total;
}

__device__ float FloatDot(const LinearArgs& a, const float* x, int row, int lane) {
  const int groups = a.w.cols / a.group;
  const float* scale = a.scale + static_cast<int64_t>(row) * groups;
  float total = 0;
  for (int kt = 0; kt < a.w.k_tiles; ++kt) {
    const uint32_t codes = FourCodes(a.w, row, kt, lane);
    for (int e = 0; e < 4; ++e) {
      const int c = kt * 128 + lane * 4 + e;
      if (c >= a.w.cols) break;
      const int value = static_cast<int>((codes >> (8 * e)) & 3) - 1;
      total = fmaf(x[c] * static_cast<float>(value), scale[c / a.group], total);
    }
  }
  for (int offset = 16; offset > 0; offset /= 2) total += __shfl_xor_sync(~0u, total, offset);
  return total;
}

// x == nullptr: a.q.
__global__ void __launch_bounds__(kThreads)
    OneByOne(LinearArgs a, const float* x, int64_t x_stride) {
  const int lane = threadIdx.x % 32, n = blockIdx.x * kWarps + threadIdx.x / 32;
  const int outputs = a.gate == Gate::kNone ? a.w.rows : a.w.rows / 2;
  ReleaseSuccessor();
  WaitForPredecessor();
  if (n >= outputs) return;
  for (int token = blockIdx.y; token < a.m; token += gridDim.y) {
    const auto dot = [&](int row) {
      return x == nullptr ? AnyGroupDot(a, token, row, lane)
                          : FloatDot(a, x + token * x_stride, row, lane);
    };
    float value = dot(n);
    if (a.gate != Gate::kNone) value = GateOf(a.gate, value) * dot(n + outputs);
    if (lane == 0) StoreOutput(a, token, n, value);
  }
}

unsigned CeilDiv(int a, int b) { return static_cast<unsigned>((a + b - 1) / b); }

void StartOneByOne(const LinearArgs& args, const float* x, int64_t x_stride, const Launch& launch) {
  const int outputs = args.gate == Gate::kNone ? args.w.rows : args.w.rows / 2;
  Start(launch, OneByOne,
        dim3(CeilDiv(outputs, kWarps), static_cast<unsigned>(std::min(args.m, 4096))), kThreads, 0,
        args, x, x_stride);
}

}  // namespace

void LinearGrouped(const LinearArgs& args, const Launch& launch) {
  if (args.m == 0) return;
  if (args.group % 32 != 0) return StartOneByOne(args, nullptr, 0, launch);
  const bool gated = args.gate != Gate::kNone;
  const int outputs = gated ? args.w.rows / 2 : args.w.rows;
  if (args.m <= 2 * kFewTokens)
    return Start(launch, gated ? GroupedFew<true> : GroupedFew<false>,
                 dim3(CeilDiv(outputs, kTileRows), CeilDiv(args.m, kFewTokens)), kThreads, 0, args);
  Start(launch, gated ? GroupedMany<true> : GroupedMany<false>,
        dim3(CeilDiv(outputs, kWarps * kTileRows), CeilDiv(args.m, kTokens)), kThreads, 0, args);
}

void LinearFloat(const float* x, int64_t x_stride, const LinearArgs& args, const Launch& launch) {
  if (args.m > 0) StartOneByOne(args, x, x_stride, launch);
}

}  // namespace tern::cuda
