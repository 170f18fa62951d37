// Few rows times ternary weights, with or without their norm. Outputs go in units of two blocks of
// 16 rows of the weights (a gate's and its partner's, or neighbours), so that what a warp has read of
// the rows serves twice. A block's tiles, unit by unit, are cut into as many runs as there are
// warps: a warp's sums stay in registers until its run leaves a unit, and then meet the other warps'
// in shared memory, where any order gives the same bits. Weights are on their way before the
// kernel's predecessor has ended.
#include "backend/cuda/kernels/linear_stream.h"

#include <algorithm>
#include <type_traits>

#include "backend/cuda/kernels/few.cuh"
#include "backend/cuda/kernels/norm.cuh"
#include "backend/cuda/kernels/ptx.cuh"

namespace tern::cuda {
namespace {

constexpr int kWarps = 16;  // where rows don't ask for others
// Shared memory that a block may ask for, less a little that the kernel has anyway.
constexpr int MaxShared(int compute) {
  return (compute >= 90 && compute < 120 ? 220 : compute == 80 || compute == 87 ? 156 : 92) * 1024;
}
constexpr int kUnitRows = 2 * kTileRows;
constexpr int kPad = 16;   // bytes behind a row of codes, so that rows begin in different banks

struct StreamArgs {
  LinearArgs a;
  const float* x;  // (m, x_stride), when the rows come as floats
  int64_t x_stride;
  const float* gain;  // (cols), or null
  float eps;
  int units;               // of the matrix
  int unit_step;           // blocks from a unit to the next one
  int64_t partner_bytes;   // from a unit's first block to its second
  int row_parts;           // of a row of floats
  int q_stride;            // bytes from a row of codes to the next one in shared memory
  int sum_stride;          // sums of a row
};

// A place in a warp's run: tile k of a unit, then those of the next one.
struct Cursor {
  int at, unit, k;
  __device__ __forceinline__ void Next(int k_tiles) {
    ++at;
    if (++k == k_tiles) {
      k = 0;
      ++unit;
    }
  }
};

// How the rows get in: quantised; as floats, of which a warp has the same part of all rows, or parts
// of one long row.
enum class Rows : uint8_t { kQuantized, kParts, kLong };

// kTiles: of 128 columns, of a part of a row (norm.cuh). kCount: rows of a part, or parts, of a warp.
// kGroups of 8 rows. kDepth: pairs of tiles of a warp that are under way.
// Shared memory: gains (kLong), codes (rows, q_stride), sums (rows, sum_stride).
template <Rows kRows, int kTiles, int kCount, int kGroups, int kDepth>
__global__ void __launch_bounds__(kRows == Rows::kParts ? 640 : kWarps * 32)
    __maxnreg__(kRows == Rows::kParts ? 96 : 128) Stream(const __grid_constant__ StreamArgs p) {
  constexpr bool kNorm = kRows != Rows::kQuantized;
  constexpr int kMaxRows = kGroups * 8;
  extern __shared__ __align__(128) unsigned char memory[];
  __shared__ SumAndLargest parts[kNorm ? kMaxRows : 1][32];
  __shared__ RowScale scales[kNorm ? kMaxRows : 1];
  __shared__ float steps[kMaxRows];
  __shared__ int code_sums[kMaxRows];
  const int threads = blockDim.x, warps = threads / 32;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const LinearArgs& a = p.a;
  const bool gated = a.gate != Gate::kNone;
  const int first = p.units * blockIdx.x / gridDim.x;
  const int own = p.units * (blockIdx.x + 1) / gridDim.x - first;
  const int k_tiles = a.w.k_tiles;

  unsigned char* gains = memory;
  const bool long_gains = kRows == Rows::kLong && p.gain != nullptr;
  unsigned char* codes = gains + (long_gains ? a.w.cols * 4 : 0);
  auto* sums = reinterpret_cast<int*>(codes + a.m * p.q_stride);
  if (long_gains)
    for (int i = threadIdx.x; i < a.w.cols / 4; i += threads)
      CopyAsync16(gains + i * 16, p.gain + i * 4);
  CommitCopies();

  const int run_begin = own * k_tiles * warp / warps;
  const int run_end = own * k_tiles * (warp + 1) / warps;
  Cursor read = {run_begin, run_begin / k_tiles, run_begin % k_tiles}, ahead = read;
  const char* next = static_cast<const char*>(a.w.tiles) +
                     (static_cast<int64_t>(first + read.unit) * p.unit_step * k_tiles + read.k) *
                         kTileBytes +
                     lane * 16;
  uint4 held[kDepth][2];
  const auto fetch = [&](uint4(&to)[2]) {
    to[0] = LoadStream(next);
    to[1] = LoadStream(next + p.partner_bytes);
    ahead.Next(k_tiles);
    next += ahead.k == 0 ? ((p.unit_step - 1) * k_tiles + 1) * kTileBytes : kTileBytes;
  };
#pragma unroll
  for (int i = 0; i < kDepth; ++i)
    if (ahead.at < run_end) fetch(held[i]);

  // What else doesn't depend on the predecessor: sums of zero, scales.
  for (int i = threadIdx.x; i < a.m * p.sum_stride; i += threads) sums[i] = 0;
  if (threadIdx.x < kMaxRows) code_sums[threadIdx.x] = 0;
  const int per_unit = gated ? kTileRows : kUnitRows;
  const int outputs = gated ? a.w.rows / 2 : a.w.rows;
  const int out_count = own * per_unit, items = out_count * a.m;
  // Result i of this block: output `n` of row `token`; `row` of the sums.
  struct Item {
    int token, row, n;
  };
  const auto item_at = [&](int i) {
    const int token = i / out_count, o = i - token * out_count;
    return Item{token, gated ? o / kTileRows * kUnitRows + o % kTileRows : o, first * per_unit + o};
  };
  const Item own_item = item_at(min(static_cast<int>(threadIdx.x), items - 1));
  const bool has_item = threadIdx.x < items && own_item.n < outputs;
  const float own_scale = has_item ? a.scale[own_item.n] : 0.0f;
  const float own_up_scale = has_item && gated ? a.scale[own_item.n + outputs] : 0.0f;
  float own_old = 0.0f;
  float gain[kRows == Rows::kParts ? kTiles : 1][4];
  if constexpr (kRows == Rows::kParts)
    LoadPart(gain, p.gain != nullptr ? p.gain : p.x, p.gain != nullptr ? a.w.cols : 0, warp, true,
             1.0f);
  if constexpr (kRows == Rows::kLong) {
    WaitCopies<0>();
    __syncthreads();
  }
  ReleaseSuccessor();
  WaitForPredecessor();

  if constexpr (kNorm) {
    const auto row_of = [&](int i) { return kRows == Rows::kParts ? i : 0; };
    const auto part_of = [&](int i) { return kRows == Rows::kParts ? warp : warp + i * kWarps; };
    const auto there = [&](int i) {
      return kRows == Rows::kParts ? i < a.m : part_of(i) < p.row_parts;
    };
    // The gains of part i to `to`, when they aren't in registers.
    const auto with_gain = [&](int i, auto run) {
      if constexpr (kRows == Rows::kParts) {
        run(gain);
      } else {
        float of_part[kTiles][4];
#pragma unroll
        for (int j = 0; j < kTiles; ++j) {
          const int c = (part_of(i) * kTiles + j) * 128 + lane * 4;
          const float4 v = p.gain != nullptr && c < a.w.cols
                               ? *reinterpret_cast<const float4*>(gains + c * 4)
                               : float4{1, 1, 1, 1};
          of_part[j][0] = v.x, of_part[j][1] = v.y, of_part[j][2] = v.z, of_part[j][3] = v.w;
        }
        run(of_part);
      }
    };
    float x[kCount][kTiles][4];
#pragma unroll
    for (int i = 0; i < kCount; ++i)
      if (there(i))
        LoadPart(x[i], p.x + row_of(i) * p.x_stride, a.w.cols, part_of(i), true, 0.0f);
    if (has_item && a.add) own_old = a.y[own_item.token * a.y_stride + own_item.n];
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      if (!there(i)) break;
      SumAndLargest v;
      with_gain(i, [&](const auto& of_part) { v = ReduceWarp(Measure(x[i], of_part)); });
      if (lane == 0) parts[row_of(i)][part_of(i)] = v;
    }
    __syncthreads();
    for (int row = warp; row < a.m; row += warps) {
      const RowScale scale =
          ScaleOf(ReduceWarp(lane < p.row_parts ? parts[row][lane] : SumAndLargest{0, 0}),
                  p.gain != nullptr, a.w.cols, p.eps);
      if (lane == 0) {
        scales[row] = scale;
        steps[row] = scale.step;
      }
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      if (!there(i)) break;
      const RowScale scale = scales[row_of(i)];
      uint32_t words[kTiles];
      with_gain(i, [&](const auto& of_part) {
#pragma unroll
        for (int j = 0; j < kTiles; ++j) {
          words[j] = QuantizeFour(x[i][j], of_part[j], scale);
          const int tile = part_of(i) * kTiles + j;
          if (tile < k_tiles)
            *reinterpret_cast<uint32_t*>(codes + row_of(i) * p.q_stride + tile * 128 + lane * 4) =
                words[j];
        }
      });
      const int sum = SumCodes(words);
      if (lane == 0) atomicAdd(&code_sums[row_of(i)], sum);
    }
  } else {
    const int chunks = static_cast<int>(min(static_cast<int64_t>(k_tiles) * 8, a.q_stride / 16));
    for (int row = warp; row < a.m; row += warps)
      for (int i = lane; i < chunks; i += 32)
        CopyAsync16(codes + row * p.q_stride + i * 16, a.q + row * a.q_stride + i * 16);
    CommitCopies();
    if (has_item && a.add) own_old = a.y[own_item.token * a.y_stride + own_item.n];
    if (threadIdx.x < a.m) {
      steps[threadIdx.x] = a.step[threadIdx.x];
      code_sums[threadIdx.x] = a.sums[threadIdx.x];
    }
  }
  if (!kNorm) WaitCopies<0>();
  __syncthreads();

  using Sums = std::conditional_t<kGroups == 1, TileSums, SmallTileSums>;
  Sums acc[2][kGroups];
  bool from_start = read.k == 0;
  const unsigned char* row_codes[kGroups];  // columns of rows that don't exist are nobody's
#pragma unroll
  for (int group = 0; group < kGroups; ++group)
    row_codes[group] = codes + min(group * 8 + lane % 8, a.m - 1) * p.q_stride + lane / 8 * 16;
  const auto multiply = [&](const uint4& w0, const uint4& w1) {
#pragma unroll
    for (int group = 0; group < kGroups; ++group) {
      const unsigned char* at = row_codes[group] + read.k * 128;
      uint32_t b[4];
      LoadMatrix4(b, at);
      acc[0][group].MultiplyHalf(w0.x, w0.y, b[0], b[1], b[2], b[3]);
      acc[1][group].MultiplyHalf(w1.x, w1.y, b[0], b[1], b[2], b[3]);
      LoadMatrix4(b, at + 64);
      acc[0][group].MultiplyHalf(w0.z, w0.w, b[0], b[1], b[2], b[3]);
      acc[1][group].MultiplyHalf(w1.z, w1.w, b[0], b[1], b[2], b[3]);
    }
  };
  // Behind a tile: the sums of a unit that the run leaves.
  const auto leave = [&] {
    const int unit = read.unit;
    read.Next(k_tiles);
    if (read.at < run_end && read.k != 0) return;
#pragma unroll
    for (int group = 0; group < kGroups; ++group) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int token = group * 8 + 2 * t + (i & 1);
        if (token >= a.m) continue;
        const int too_much = from_start ? code_sums[token] : 0;
        int* to = sums + token * p.sum_stride + unit * kUnitRows + g + 8 * (i >> 1);
        atomicAdd(to, acc[0][group].Total(i) - too_much);
        atomicAdd(to + kTileRows, acc[1][group].Total(i) - too_much);
      }
      acc[0][group] = acc[1][group] = Sums();
    }
    from_start = true;
  };
  while (read.at < run_end) {
#pragma unroll
    for (int i = 0; i < kDepth; ++i)
      if (read.at < run_end) {
        multiply(held[i][0], held[i][1]);
        if (ahead.at < run_end) fetch(held[i]);
        leave();
      }
  }
  __syncthreads();

  for (int i = threadIdx.x; i < items; i += threads) {
    const bool is_own = i == threadIdx.x;
    const Item item = is_own ? own_item : item_at(i);
    if (item.n >= outputs) continue;
    float* y = a.y + item.token * a.y_stride + item.n;
    const float step = steps[item.token];
    const int* sum = sums + item.token * p.sum_stride + item.row;
    float value = static_cast<float>(sum[0]) * ((is_own ? own_scale : a.scale[item.n]) * step);
    if (gated) {
      const float up_scale = is_own ? own_up_scale : a.scale[item.n + outputs];
      value = GateOf(a.gate, value) * (static_cast<float>(sum[kTileRows]) * (up_scale * step));
    } else if (a.add) {
      value = (is_own ? own_old : *y) + value;
    }
    *y = value;
  }
}

int CeilDiv(int a, int b) { return (a + b - 1) / b; }

template <Rows kRows, int kTiles, int kCount, int kGroups, int kDepth>
bool StartStream(StreamArgs p, const Launch& launch) {
  const LinearArgs& a = p.a;
  const bool gated = a.gate != Gate::kNone;
  p.units = gated ? a.w.rows / kUnitRows : CeilDiv(a.w.rows, kUnitRows);
  p.unit_step = gated ? 1 : 2;
  p.partner_bytes = (gated ? a.w.rows / kUnitRows : int64_t{1}) * a.w.k_tiles * kTileBytes;
  p.row_parts = ShareOfRow(a.w.cols).warps;
  const int grid = std::min(p.units, launch.multiprocessors), own = CeilDiv(p.units, grid);
  p.q_stride = a.w.k_tiles * 128 + kPad;
  p.sum_stride = own * kUnitRows + 4;
  const int64_t bytes = (kRows == Rows::kLong && p.gain != nullptr ? int64_t{a.w.cols} * 4 : 0) +
                        int64_t{a.m} * (p.q_stride + p.sum_stride * 4);
  if (bytes > MaxShared(launch.compute)) return false;
  auto* kernel = Stream<kRows, kTiles, kCount, kGroups, kDepth>;
  PrepareShared(kernel, static_cast<size_t>(MaxShared(launch.compute)));
  Start(launch, kernel, dim3(static_cast<unsigned>(grid)),
        32 * (kRows == Rows::kParts ? p.row_parts : kWarps), static_cast<size_t>(bytes), p);
  return true;
}

// Few tiles a warp need few registers; the fewer instructions the sooner the kernel is there.
template <int kGroups>
bool StartQuantized(const StreamArgs& p, const Launch& launch) {
  const int64_t tiles = int64_t{p.a.w.row_blocks} * p.a.w.k_tiles / 2;
  return tiles <= int64_t{4} * kWarps * launch.multiprocessors
             ? StartStream<Rows::kQuantized, 1, 1, kGroups, 4>(p, launch)
             : StartStream<Rows::kQuantized, 1, 1, kGroups, 8>(p, launch);
}

}  // namespace

bool StreamLinear(const LinearArgs& args, const Launch& launch) {
  if (args.m > kStreamRows || reinterpret_cast<uintptr_t>(args.q) % 16 != 0 ||
      args.q_stride % 16 != 0)
    return false;
  const StreamArgs p = {.a = args};
  return args.m <= 8 ? StartQuantized<1>(p, launch) : StartQuantized<2>(p, launch);
}

bool StreamNormLinear(const NormArgs& norm, const LinearArgs& args, const Launch& launch) {
  if (args.w.cols > kNormCols || args.w.cols % 4 != 0 || norm.x_stride % 4 != 0) return false;
  const StreamArgs p = {
      .a = args, .x = norm.x, .x_stride = norm.x_stride, .gain = norm.gain, .eps = norm.eps};
  bool started = false;
  WithTiles(args.w.cols, [&]<int kTiles>() {
    if constexpr (kTiles > 3) {
      if (args.m == 1) started = StartStream<Rows::kLong, kTiles, 2, 1, 8>(p, launch);
    } else if (args.m == 1) {
      started = StartStream<Rows::kParts, kTiles, 1, 1, 6>(p, launch);
    } else if (args.m == 2) {
      started = StartStream<Rows::kParts, kTiles, 2, 1, 4>(p, launch);
    } else if (args.m <= 4 && kTiles == 1) {
      started = StartStream<Rows::kParts, 1, 4, 1, 4>(p, launch);
    }
  });
  return started;
}

}  // namespace tern::cuda
