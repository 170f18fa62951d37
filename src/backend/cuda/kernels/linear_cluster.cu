// Few rows times ternary weights by clusters of blocks. A cluster owns some outputs, and each of its
// blocks a share of the columns, so that a block reads (and normalises, and quantises) only its share
// of the rows: what all multiprocessors read at the same time is what few rows take long for. The
// blocks tell each other their parts of the rows' norms, and their sums at the end, through their
// shared memory; sums are integers, so that any split gives the same bits, and the parts of a norm
// are those of norm.cuh.
//
// Outputs go in units of two blocks of 16 rows of the weights (a gate's and its partner's, or
// neighbours). A block's tiles, unit by unit, are cut into as many runs as there are warps; a warp
// fetches its own by bulk copies, which begin before the kernel's predecessor has ended.
#include <algorithm>
#include <type_traits>

#include "backend/cuda/kernels/few.cuh"
#include "backend/cuda/kernels/linear_cluster.h"
#include "backend/cuda/kernels/norm.cuh"
#include "backend/cuda/kernels/ptx_cluster.cuh"

namespace tern::cuda {
namespace {

constexpr int kWarps = 16;
constexpr int kThreads = kWarps * 32;
constexpr int kMaxSlots = 16;
constexpr int kMaxShared = 224 * 1024;
constexpr int kUnitRows = 2 * kTileRows;
constexpr int kPad = 16;  // bytes behind a row of codes, so that rows begin in different banks

struct ClusterArgs {
  LinearArgs a;
  const float* x;  // (m, x_stride), when the rows come as floats
  int64_t x_stride;
  const float* gain;  // (cols), or null
  float eps;
  int units;      // of the matrix
  int unit_step;  // blocks from a unit to the next one
  int64_t partner_bytes;  // from a unit's first block to its second
  int parts;      // of a row, which the blocks of a cluster share out
  int split;
  int piece, slots;
  int q_stride;    // bytes from a row of codes to the next one in shared memory
  int sum_stride;  // sums of a row
};

// A place in a warp's run of tiles: those of a unit, then those of the next one.
struct Cursor {
  int at, unit, k;
  __device__ __forceinline__ int Piece(int end, int k_tiles, int piece) const {
    return min(piece, min(k_tiles - k, end - at));
  }
  __device__ __forceinline__ void Skip(int n, int k_tiles) {
    at += n;
    k += n;
    if (k == k_tiles) {
      k = 0;
      ++unit;
    }
  }
};

constexpr int Registers(int tiles, int rows, int groups) {
  const int floats = 4 * tiles * (rows + 1);
  return groups > 2 ? 80 : floats <= 24 ? 64 : floats <= 40 ? 80 : 104;
}

// kTiles: of 128 columns, of a part of a row of floats (norm.cuh), of which a warp has up to kRows;
// 0: the rows come quantised. kGroups of 8 rows.
// Shared memory: weights (warps, slots), codes (rows, q_stride), sums (rows, sum_stride).
template <int kTiles, int kRows, int kGroups>
__global__ void __launch_bounds__(kThreads) __maxnreg__(Registers(kTiles, kRows, kGroups))
    Cluster(const __grid_constant__ ClusterArgs p) {
#if __CUDA_ARCH__ >= 900
  constexpr bool kNorm = kTiles > 0;
  constexpr int kTilesOr1 = kNorm ? kTiles : 1;
  constexpr int kMaxRows = kGroups * 8;
  extern __shared__ __align__(128) unsigned char memory[];
  __shared__ float2 parts[kNorm ? kMaxRows : 1][32];
  __shared__ RowScale scales[kNorm ? kMaxRows : 1];
  __shared__ float steps[kMaxRows];
  __shared__ int code_sums[kMaxRows];
  __shared__ uint64_t arrived[kWarps * kMaxSlots], codes_arrived;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const LinearArgs& a = p.a;
  const bool gated = a.gate != Gate::kNone;

  const int rank = static_cast<int>(blockIdx.x) % p.split;
  const int cluster = static_cast<int>(blockIdx.x) / p.split;
  const int clusters = static_cast<int>(gridDim.x) / p.split;
  const int first = p.units * cluster / clusters;
  const int own = p.units * (cluster + 1) / clusters - first;
  const int part_begin = p.parts * rank / p.split;
  const int part_count = p.parts * (rank + 1) / p.split - part_begin;
  const int k_begin = part_begin * kTilesOr1;
  const int k_tiles = min(part_count * kTilesOr1, a.w.k_tiles - k_begin);

  // Weights
  const int piece_bytes = 2 * p.piece * kTileBytes;
  unsigned char* ring = memory + warp * p.slots * piece_bytes;
  uint64_t* barriers = arrived + warp * p.slots;
  const int run_begin = own * k_tiles * warp / kWarps, run_end = own * k_tiles * (warp + 1) / kWarps;
  Cursor read = {run_begin, run_begin / k_tiles, run_begin % k_tiles}, fetched = read;
  const auto fetch = [&](int slot) {
    const int n = fetched.Piece(run_end, k_tiles, p.piece);
    const int bytes = n * kTileBytes;
    const int64_t block = (first + fetched.unit) * p.unit_step;
    const auto* from = static_cast<const char*>(a.w.tiles) +
                       (block * a.w.k_tiles + k_begin + fetched.k) * kTileBytes;
    ExpectBulk(&barriers[slot], 2 * bytes);
    CopyBulk(ring + slot * piece_bytes, from, bytes, &barriers[slot]);
    CopyBulk(ring + slot * piece_bytes + p.piece * kTileBytes, from + p.partner_bytes,
             bytes, &barriers[slot]);
    fetched.Skip(n, k_tiles);
  };
  if (lane == 0) {
    for (int i = 0; i < p.slots; ++i) InitBulkBarrier(&barriers[i]);
    for (int i = 0; i < p.slots && fetched.at < run_end; ++i) fetch(i);
  }

  // What else doesn't depend on the predecessor: sums of zero, scales, gains.
  unsigned char* codes = memory + kWarps * p.slots * piece_bytes;
  auto* sums = reinterpret_cast<int*>(codes + kMaxRows * p.q_stride);
  for (int i = threadIdx.x; i < a.m * p.sum_stride; i += kThreads) sums[i] = 0;
  const int per_unit = gated ? kTileRows : kUnitRows;
  const int outputs = gated ? a.w.rows / 2 : a.w.rows;
  const int out_begin = own * per_unit * rank / p.split;
  const int out_count = own * per_unit * (rank + 1) / p.split - out_begin;
  const int items = out_count * a.m;
  // Result i of this block: output `n` of row `token`; `row` of the sums.
  struct Item {
    int token, row, n;
  };
  const auto item_at = [&](int i) {
    const int token = i / out_count, o = out_begin + i - token * out_count;
    return Item{token, gated ? o / kTileRows * kUnitRows + o % kTileRows : o, first * per_unit + o};
  };
  const Item own_item = item_at(min(static_cast<int>(threadIdx.x), max(items - 1, 0)));
  const bool has_item = threadIdx.x < items && own_item.n < outputs;
  const float own_scale = has_item ? a.scale[own_item.n] : 0.0f;
  const float own_up_scale = has_item && gated ? a.scale[own_item.n + outputs] : 0.0f;
  float own_old = 0.0f;

  const int part_of_warp = warp % part_count, row_step = kWarps / part_count;
  const int first_row = warp / part_count < row_step ? warp / part_count : a.m;
  float gain[kTilesOr1][4];
  if constexpr (kNorm) {
    LoadPart(gain, p.gain != nullptr ? p.gain : p.x,
             p.gain != nullptr ? a.w.cols : 0, part_begin + part_of_warp, true, 1.0f);
    if (threadIdx.x < a.m) code_sums[threadIdx.x] = 0;
  } else if (threadIdx.x == 0) {
    InitBulkBarrier(&codes_arrived);
  }
  ArriveCluster();
  ReleaseSuccessor();
  WaitForPredecessor();

  if constexpr (kNorm) {
    float x[kRows][kTilesOr1][4];
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int row = first_row + i * row_step;
      if (row < a.m)
        LoadPart(x[i], p.x + row * p.x_stride, a.w.cols, part_begin + part_of_warp, true, 0.0f);
    }
    if (has_item && a.add) own_old = a.y[own_item.token * a.y_stride + own_item.n];
    WaitCluster();  // everybody is there
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int row = first_row + i * row_step;
      if (row >= a.m) break;
      const SumAndLargest v = ReduceWarp(Measure(x[i], gain));
      if (lane < p.split)
        StoreRemote(
            ClusterAddress(SharedAddress(&parts[row][part_begin + part_of_warp]), lane), v.sum,
            v.largest);
    }
    ArriveCluster();
    WaitCluster();
    for (int row = warp; row < a.m; row += kWarps) {
      const float2 part = lane < p.parts ? parts[row][lane] : float2{0, 0};
      const RowScale scale =
          ScaleOf(ReduceWarp({part.x, part.y}), p.gain != nullptr, a.w.cols, p.eps);
      if (lane == 0) {
        scales[row] = scale;
        steps[row] = scale.step;
      }
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int row = first_row + i * row_step;
      if (row >= a.m) break;
      uint32_t words[kTilesOr1];
#pragma unroll
      for (int j = 0; j < kTilesOr1; ++j) {
        words[j] = QuantizeFour(x[i][j], gain[j], scales[row]);
        *reinterpret_cast<uint32_t*>(codes + row * p.q_stride +
                                     (part_of_warp * kTilesOr1 + j) * 128 + lane * 4) = words[j];
      }
      const int sum = SumCodes(words);
      if (lane == 0) atomicAdd(&code_sums[row], sum);
    }
    __syncthreads();
  } else {
    const int bytes = static_cast<int>(
        min(static_cast<int64_t>(k_tiles) * 128, a.q_stride - static_cast<int64_t>(k_begin) * 128));
    if (threadIdx.x < 32) {
      if (lane == 0) ExpectBulk(&codes_arrived, bytes * a.m);
      __syncwarp();
      if (lane < a.m)
        CopyBulk(codes + lane * p.q_stride, a.q + lane * a.q_stride + k_begin * 128, bytes,
                 &codes_arrived);
    }
    if (has_item && a.add) own_old = a.y[own_item.token * a.y_stride + own_item.n];
    if (threadIdx.x < a.m) {
      steps[threadIdx.x] = a.step[threadIdx.x];
      code_sums[threadIdx.x] = rank == 0 ? a.sums[threadIdx.x] : 0;
    }
    __syncthreads();
    WaitBulk(&codes_arrived);
    WaitCluster();
  }

  // Products
  __syncwarp();
  using Sums = std::conditional_t<kGroups == 1, TileSums, SmallTileSums>;
  Sums acc[2][kGroups];
  bool from_start = read.k == 0;
  const unsigned char* row_codes = codes + lane % 8 * p.q_stride + lane / 8 * 16;
  int slot = 0;
  uint32_t phase = 0;
  while (read.at < run_end) {
    const int n = read.Piece(run_end, k_tiles, p.piece), unit = read.unit;
    WaitBulkPhase(&barriers[slot], phase);
    const unsigned char* of_piece = ring + slot * piece_bytes + lane * 16;
    for (int i = 0; i < n; ++i) {
      const uint4 w0 = *reinterpret_cast<const uint4*>(of_piece + i * kTileBytes);
      const uint4 w1 = *reinterpret_cast<const uint4*>(of_piece + (p.piece + i) * kTileBytes);
      const unsigned char* b_at = row_codes + (read.k + i) * 128;
#pragma unroll
      for (int group = 0; group < kGroups; ++group) {
        uint32_t b[4];
        LoadMatrix4(b, b_at + group * 8 * p.q_stride);
        acc[0][group].MultiplyHalf(w0.x, w0.y, b[0], b[1], b[2], b[3]);
        acc[1][group].MultiplyHalf(w1.x, w1.y, b[0], b[1], b[2], b[3]);
        LoadMatrix4(b, b_at + group * 8 * p.q_stride + 64);
        acc[0][group].MultiplyHalf(w0.z, w0.w, b[0], b[1], b[2], b[3]);
        acc[1][group].MultiplyHalf(w1.z, w1.w, b[0], b[1], b[2], b[3]);
      }
    }
    __syncwarp();
    if (lane == 0 && fetched.at < run_end) fetch(slot);
    if (++slot == p.slots) {
      slot = 0;
      phase ^= 1;
    }
    read.Skip(n, k_tiles);
    if (read.at < run_end && read.k != 0) continue;
#pragma unroll
    for (int group = 0; group < kGroups; ++group)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int token = group * 8 + 2 * t + (i & 1);
        if (token >= a.m) continue;
        const int too_much = from_start ? code_sums[token] : 0;
        int* to = sums + token * p.sum_stride + unit * kUnitRows + g + 8 * (i >> 1);
        atomicAdd(to, acc[0][group].Total(i) - too_much);
        atomicAdd(to + kTileRows, acc[1][group].Total(i) - too_much);
      }
#pragma unroll
    for (int group = 0; group < kGroups; ++group) acc[0][group] = acc[1][group] = Sums();
    from_start = true;
  }
  ArriveCluster();
  WaitCluster();

  const uint32_t sums_at = SharedAddress(sums);
  const auto total = [&](int token, int row) {
    const uint32_t at = sums_at + (token * p.sum_stride + row) * 4;
    int sum = 0;
#pragma unroll 4
    for (int i = 0; i < p.split; ++i) sum += LoadRemote(ClusterAddress(at, i));
    return static_cast<float>(sum);
  };
  for (int i = threadIdx.x; i < items; i += kThreads) {
    const bool is_own = i == threadIdx.x;
    const Item item = is_own ? own_item : item_at(i);
    if (item.n >= outputs) continue;
    float* y = a.y + item.token * a.y_stride + item.n;
    const float step = steps[item.token];
    float value = total(item.token, item.row) * ((is_own ? own_scale : a.scale[item.n]) * step);
    if (gated) {
      const float up_scale = is_own ? own_up_scale : a.scale[item.n + outputs];
      value = GateOf(a.gate, value) * (total(item.token, item.row + kTileRows) * (up_scale * step));
    } else if (a.add) {
      value = (is_own ? own_old : *y) + value;
    }
    *y = value;
  }
  ArriveClusterRelaxed();
  WaitCluster();  // the others have read this block's sums
#endif
}

int CeilDiv(int a, int b) { return (a + b - 1) / b; }

template <int kTiles, int kRows, int kGroups>
bool Start(ClusterArgs p, const ClusterForm& form, const Launch& launch) {
  const LinearArgs& a = p.a;
  const bool gated = a.gate != Gate::kNone;
  constexpr int kGrain = kTiles > 0 ? kTiles : 1;
  p.units = gated ? a.w.rows / kUnitRows : CeilDiv(a.w.rows, kUnitRows);
  p.unit_step = gated ? 1 : 2;
  p.partner_bytes = (gated ? a.w.rows / kUnitRows : int64_t{1}) * a.w.k_tiles * kTileBytes;
  p.parts = kTiles > 0 ? ShareOfRow(a.w.cols).warps : a.w.k_tiles;
  p.split = std::min(form.split, p.parts);
  const int clusters = std::min(p.units, std::max(launch.multiprocessors / p.split, 1));
  const int own = CeilDiv(p.units, clusters), k_tiles = CeilDiv(p.parts, p.split) * kGrain;
  p.q_stride = k_tiles * 128 + kPad;
  p.sum_stride = own * kUnitRows + 4;
  const int others = kGroups * 8 * p.q_stride + a.m * p.sum_stride * 4;
  const int run = CeilDiv(own * k_tiles, kWarps);
  p.piece = std::min(form.piece, run);
  const int slot_bytes = kWarps * 2 * p.piece * kTileBytes;
  // One more when the runs' pieces end at units' borders.
  p.slots = std::min({CeilDiv(run, p.piece) + (p.piece > 1 ? 1 : 0), kMaxSlots,
                      std::min(form.ring_kib * 1024, kMaxShared - others) / slot_bytes});
  if (p.slots < 1) return false;
  const int bytes = p.slots * slot_bytes + others;
  auto* kernel = Cluster<kTiles, kRows, kGroups>;
  (void)cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kMaxShared);
  (void)cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                             cudaSharedmemCarveoutMaxShared);
  cudaLaunchAttribute attributes[2] = {};
  attributes[0].id = cudaLaunchAttributeClusterDimension;
  attributes[0].val.clusterDim = {static_cast<unsigned>(p.split), 1, 1};
  attributes[1].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[1].val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = static_cast<unsigned>(clusters * p.split);
  config.blockDim = kThreads;
  config.dynamicSmemBytes = static_cast<size_t>(bytes);
  config.stream = launch.stream;
  config.attrs = attributes;
  config.numAttrs = launch.dependent ? 2 : 1;
  (void)cudaLaunchKernelEx(&config, kernel, p);
  return true;
}

// Rows of a part that a warp holds.
template <int kTiles, int kGroups>
bool StartNorm(const ClusterArgs& p, const ClusterForm& form, const Launch& launch) {
  const int parts = ShareOfRow(p.a.w.cols).warps;
  const int part_count = CeilDiv(parts, std::min(form.split, parts));
  if (part_count > kWarps) return false;
  const int rows = CeilDiv(p.a.m, kWarps / part_count);
  if (kGroups == 1 && rows <= 1) return Start<kTiles, 1, kGroups>(p, form, launch);
  if (rows <= 2) return Start<kTiles, 2, kGroups>(p, form, launch);
  if constexpr (kTiles <= 3)
    if (rows <= 4) return Start<kTiles, 4, kGroups>(p, form, launch);
  if constexpr (kTiles <= 2)
    if (rows <= 6) return Start<kTiles, 6, kGroups>(p, form, launch);
  return false;
}

}  // namespace

bool ClusterLinear(const LinearArgs& args, const ClusterForm& form, const Launch& launch) {
  if (launch.compute < 90 || args.m > kClusterRows) return false;
  if (reinterpret_cast<uintptr_t>(args.q) % 16 != 0 || args.q_stride % 16 != 0) return false;
  const ClusterArgs p = {.a = args};
  if (args.m <= 8) return Start<0, 1, 1>(p, form, launch);
  if (args.m <= 16) return Start<0, 1, 2>(p, form, launch);
  return Start<0, 1, 4>(p, form, launch);
}

bool ClusterNormLinear(const NormArgs& norm, const LinearArgs& args, const ClusterForm& form,
                       const Launch& launch) {
  if (launch.compute < 90 || args.m > kClusterNormRows || args.w.cols > kNormCols) return false;
  if (args.w.cols % 4 != 0 || norm.x_stride % 4 != 0) return false;
  const ClusterArgs p = {
      .a = args, .x = norm.x, .x_stride = norm.x_stride, .gain = norm.gain, .eps = norm.eps};
  bool started = false;
  WithTiles(args.w.cols, [&]<int kTiles>() {
    started = args.m <= 8 ? StartNorm<kTiles, 1>(p, form, launch)
                          : StartNorm<kTiles, 2>(p, form, launch);
  });
  return started;
}

ClusterForm ChooseClusterForm(const LinearArgs& args, bool norm) {
  (void)args;
  (void)norm;
  return {};
}

}  // namespace tern::cuda
