// Few rows times ternary weights. A block owns some blocks of 16 rows of the weights; each of its
// warps has the same columns of all of them, so that what the weights are multiplied with stays in
// registers. The weights of a warp's first kAhead tiles are on their way to shared memory before the
// kernel's predecessor has ended; for the published models that is all of them. The warps' int32
// sums meet in shared memory, where any order gives the same bits.
//
// Codes come out of a word with one AND each: of two words, the codes at bits 2i of each byte are
// two registers of a fragment, and count 4^i times. Odd i are rows 8 below even i, so a product of
// i = 0, 1 and one of i = 2, 3 have sums of their own, in which all of a row count the same.
#include <algorithm>

#include "backend/cuda/kernels/linear.h"
#include "backend/cuda/kernels/norm.cuh"
#include "backend/cuda/kernels/norm.h"
#include "backend/cuda/kernels/ptx.cuh"

namespace tern::cuda {
namespace {

constexpr int kAhead = 10;    // tiles of a warp on their way
constexpr int kTokens = 8;    // columns of a product
constexpr int kSummers = 4;     // threads that make an output
constexpr int kSlotTokens = 2;  // up to which warps' sums have memory of their own

struct Share {
  int first, last;
};

// What a block owns: blocks of 16 rows; with a gate, pairs of blocks.
__device__ __forceinline__ Share ShareOf(int units, int block, int blocks) {
  return {static_cast<int>(static_cast<int64_t>(units) * block / blocks),
          static_cast<int>(static_cast<int64_t>(units) * (block + 1) / blocks)};
}

// Products of one tile: sums of codes at bits 0 to 3 and 4 to 7.
template <int kGroups>
struct Sums {
  int low[kGroups][4];
  int high[kGroups][4];

  __device__ __forceinline__ void Clear() {
#pragma unroll
    for (int n = 0; n < kGroups; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) low[n][i] = high[n][i] = 0;
  }
  // Element i of a product (ptx.cuh, MmaU8S8): rows g for i < 2, then g + 8, whose codes were 4
  // times as big.
  __device__ __forceinline__ int Total(int n, int i) const {
    return i < 2 ? low[n][i] + (high[n][i] >> 4) : (low[n][i] >> 2) + (high[n][i] >> 6);
  }
};

// b[2 s + h]: codes of columns 32 s + 16 h + 4t.. of token g.
template <int kGroups>
__device__ __forceinline__ void MultiplyTile(Sums<kGroups>& sums, uint4 tile,
                                             const uint32_t (&b)[kGroups][8]) {
  const uint32_t words[4] = {tile.x, tile.y, tile.z, tile.w};
#pragma unroll
  for (int s = 0; s < 4; s += 2) {
    const uint32_t low[4] = {words[s] & 0x03030303u, words[s] & 0x0c0c0c0cu,
                             words[s + 1] & 0x03030303u, words[s + 1] & 0x0c0c0c0cu};
    const uint32_t high[4] = {words[s] & 0x30303030u, words[s] & 0xc0c0c0c0u,
                              words[s + 1] & 0x30303030u, words[s + 1] & 0xc0c0c0c0u};
#pragma unroll
    for (int n = 0; n < kGroups; ++n) {
      MmaU8S8(sums.low[n], low, b[n][2 * s], b[n][2 * s + 2]);
      MmaU8S8(sums.high[n], high, b[n][2 * s + 1], b[n][2 * s + 3]);
    }
  }
}

// Shared memory: tiles (warps, slots), then sums: (warps, outputs) of m <= kSlotTokens, else
// (outputs), outputs being (local rows, m).
// A norm's rows are one.
template <int kTiles, int kGroups, bool kGated, bool kNorm>
__global__ void __launch_bounds__(kTiles <= 3 ? 640 : 1024) Few(LinearArgs a, NormArgs norm, int units, int slots) {
  extern __shared__ __align__(16) unsigned char memory[];
  __shared__ SumAndLargest reduce[32];
  __shared__ float steps[kGroups * kTokens];
  __shared__ int row_sums[kGroups * kTokens];
  constexpr int kColumns = kGroups * kTokens;
  const int threads = blockDim.x, warps = threads / 32;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int first_token = blockIdx.y * kColumns, m = min(a.m - first_token, kColumns);
  const Share share = ShareOf(units, blockIdx.x, gridDim.x);
  const int own = share.last - share.first, blocks = own * (kGated ? 2 : 1);
  const int local_rows = blocks * kTileRows;
  auto* sums = reinterpret_cast<int*>(memory + warps * slots * kTileBytes);

  // A lane fetches what it reads itself, so nobody has to wait for the others. One group of copies
  // a tile. Blocks in order, with a gate those of the gate, then those of the other half.
  const int k_begin = warp * kTiles, k_count = min(kTiles, a.w.k_tiles - k_begin);
  const int tiles = blocks * k_count;
  const char* weights = static_cast<const char*>(a.w.tiles) + lane * 16;
  unsigned char* ring = memory + warp * slots * kTileBytes + lane * 16;
  int fetch_block = 0, fetch_k = 0, fetch_slot = 0;
  const auto fetch = [&] {
    if (fetch_block < blocks) {
      const int rb = kGated && fetch_block >= own
                         ? a.w.rows / 32 + share.first + fetch_block - own
                         : share.first + fetch_block;
      CopyAsync16(ring + fetch_slot * kTileBytes,
                  weights + (static_cast<int64_t>(rb) * a.w.k_tiles + k_begin + fetch_k) * kTileBytes);
      if (++fetch_k == k_count) fetch_k = 0, ++fetch_block;
      if (++fetch_slot == slots) fetch_slot = 0;
    }
    CommitCopies();
  };
#pragma unroll 1
  for (int i = 0; i < kAhead; ++i) fetch();

  float gain[kNorm ? kTiles : 1][4];
  if constexpr (kNorm) {
    LoadColumns(gain, norm.gain != nullptr ? norm.gain : norm.x,
                norm.gain != nullptr ? norm.cols : 0, true, 1.0f);
  }
  if (m > kSlotTokens)
    for (int i = threadIdx.x; i < local_rows * m; i += threads) sums[i] = 0;
  // kSummers threads make an output of a token; the first one's scales are fetched ahead.
  const int outputs = own * kTileRows, summer = threadIdx.x % kSummers;
  const int first_output = threadIdx.x / kSummers % outputs + share.first * kTileRows;
  const float first_scale = first_output < a.w.rows ? a.scale[first_output] : 0.0f;
  const float first_up = kGated ? a.scale[first_output + a.w.rows / 2] : 0.0f;
  ReleaseSuccessor();
  WaitForPredecessor();

  uint32_t b[kTiles][kGroups][8];
  if constexpr (kNorm) {
    float x[kTiles][4], step;
    uint32_t codes[kTiles];
    int sum;
    LoadColumns(x, norm.x, norm.cols, true, 0.0f);
    if (threadIdx.x == 0) row_sums[0] = 0;
    QuantizeRow(x, gain, norm.gain != nullptr, norm.cols, norm.eps, warps, reduce, codes, &step,
                &sum);
#pragma unroll
    for (int i = 0; i < kTiles; ++i)
#pragma unroll
      for (int j = 0; j < 8; ++j) b[i][0][j] = __shfl_sync(~0u, codes[i], 4 * j + t);
    sum = __reduce_add_sync(~0u, sum);
    if (lane == 0) atomicAdd(&row_sums[0], sum);
    if (threadIdx.x == 0) steps[0] = step;
  } else {
    if (threadIdx.x < m) {
      steps[threadIdx.x] = a.step[first_token + threadIdx.x];
      row_sums[threadIdx.x] = a.sums[first_token + threadIdx.x];
    }
#pragma unroll
    for (int n = 0; n < kGroups; ++n) {
      // Columns of tokens that don't exist may hold anything: nobody reads their sums.
      const int token = min(n * kTokens + g, m - 1);
      const int8_t* row = a.q + (first_token + token) * a.q_stride + t * 4;
#pragma unroll
      for (int i = 0; i < kTiles; ++i)
#pragma unroll
        for (int j = 0; j < 8; ++j) {
          const int64_t c = (k_begin + i) * 128 + j * 16;
          b[i][n][j] = c + 16 <= a.q_stride ? *reinterpret_cast<const uint32_t*>(row + c) : 0;
        }
    }
  }
  if (m > kSlotTokens) __syncthreads();  // sums are clear

  int slot = 0, done = 0;
  for (int block = 0; block < blocks; ++block) {
    Sums<kGroups> acc;
    acc.Clear();
#pragma unroll
    for (int i = 0; i < kTiles; ++i) {
      if (i >= k_count) break;
      WaitCopies<kAhead - 1>();
      const uint4 tile = *reinterpret_cast<const uint4*>(ring + slot * kTileBytes);
      if (++slot == slots) slot = 0;
      MultiplyTile<kGroups>(acc, tile, b[i]);
      if (++done + kAhead <= tiles)
        fetch();
      else
        CommitCopies();
    }
#pragma unroll
    for (int n = 0; n < kGroups; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int token = n * kTokens + 2 * t + (i & 1);
        if (token >= m) continue;
        const int at = (block * kTileRows + g + 8 * (i >> 1)) * m + token;
        if (m <= kSlotTokens)
          sums[warp * local_rows * m + at] = acc.Total(n, i);
        else
          atomicAdd(&sums[at], acc.Total(n, i));
      }
  }
  __syncthreads();

  const int copies = m <= kSlotTokens ? warps : 1;
  const auto total = [&](int local_row, int token) {
    int sum = 0;
#pragma unroll 4
    for (int c = summer; c < copies; c += kSummers)
      sum += sums[(c * local_rows + local_row) * m + token];
#pragma unroll
    for (int offset = kSummers / 2; offset > 0; offset /= 2)
      sum += __shfl_xor_sync(~0u, sum, offset);
    return static_cast<float>(sum - row_sums[token]);
  };
  // Whole warps go round together, for the shuffles.
  for (int base = 0; base < outputs * m; base += threads / kSummers) {
    const int i = base + threadIdx.x / kSummers;
    const bool there = i < outputs * m;
    const int token = there ? i / outputs : 0, o = there ? i - token * outputs : 0;
    const int n = share.first * kTileRows + o;
    const bool writes = there && summer == 0 && n < a.w.rows;
    float* y = a.y + (first_token + token) * a.y_stride + n;
    const float old = !kGated && a.add && writes ? *y : 0.0f;
    float value = total(o, token) * ((n == first_output || !writes ? first_scale : a.scale[n]) * steps[token]);
    if constexpr (kGated) {
      const float up_scale = n == first_output || !writes ? first_up : a.scale[n + a.w.rows / 2];
      value = GateOf(a.gate, value) * (total(outputs + o, token) * (up_scale * steps[token]));
    }
    if (writes) *y = a.add && !kGated ? old + value : value;
  }
}

template <int kTiles, int kGroups, bool kGated, bool kNorm>
void LaunchFew(const LinearArgs& a, const NormArgs& norm, const Launch& launch) {
  auto* kernel = Few<kTiles, kGroups, kGated, kNorm>;
  const int units = kGated ? a.w.rows / 32 : (a.w.rows + kTileRows - 1) / kTileRows;
  const int columns = kGroups * kTokens, m = std::min(a.m, columns);
  const int token_blocks = (a.m + columns - 1) / columns;
  const int blocks = std::min(units, launch.multiprocessors);
  const int local = (units + blocks - 1) / blocks * (kGated ? 2 : 1);
  const int warps = ShareOfRow(a.w.cols).warps;
  const int slots = std::min(kAhead, local * kTiles);
  const size_t bytes = static_cast<size_t>(warps) * slots * kTileBytes +
                       static_cast<size_t>(m <= kSlotTokens ? warps : 1) * local * kTileRows * m *
                           sizeof(int);
  (void)cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes));
  Start(launch, kernel, dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(token_blocks)),
        warps * 32, bytes, a, norm, units, slots);
}

template <int kGroups, bool kNorm>
void LaunchForShape(const LinearArgs& a, const NormArgs& norm, const Launch& launch) {
  const auto gated_or_not = [&]<int kTiles>() {
    if (a.gate == Gate::kNone)
      LaunchFew<kTiles, kGroups, false, kNorm>(a, norm, launch);
    else
      LaunchFew<kTiles, kGroups, true, kNorm>(a, norm, launch);
  };
  switch (ShareOfRow(a.w.cols).tiles) {
    case 1:
      return gated_or_not.template operator()<1>();
    case 2:
      return gated_or_not.template operator()<2>();
    case 3:
      return gated_or_not.template operator()<3>();
    case 4:
      return gated_or_not.template operator()<4>();
    default:
      return gated_or_not.template operator()<6>();
  }
}

}  // namespace

void LinearFew(const LinearArgs& args, const Launch& launch) {
  if (args.m == 0) return;
  if (args.m <= kTokens)
    LaunchForShape<1, false>(args, {}, launch);
  else
    LaunchForShape<2, false>(args, {}, launch);
}

void NormLinearFew(const NormArgs& norm, const LinearArgs& args, const Launch& launch) {
  LaunchForShape<1, true>(args, norm, launch);
}

}  // namespace tern::cuda
