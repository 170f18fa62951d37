// One row: norm, quantisation and a ternary layer in one kernel. What counts here is the time from
// the end of the kernel before to this one's end, a few hundred instructions long, so everything
// that doesn't need that kernel's result happens before: the weights (kernels/linear_few.cu tells
// how they are shared out) are on their way to shared memory, gains and scales are in registers.
#include <algorithm>

#include "backend/cuda/kernels/few.cuh"
#include "backend/cuda/kernels/linear_stream.h"
#include "backend/cuda/kernels/norm.cuh"
#include "backend/cuda/kernels/norm.h"
#include "backend/cuda/kernels/ptx.cuh"

namespace tern::cuda {
namespace {

constexpr int kSummers = 4;  // threads that make an output
// Half of a multiprocessor's shared memory, less the sums: predecessor and successor share it.
constexpr int kBulkBytes = 100 * 1024;
// Where linear_stream.cu is faster: one row of more columns, or of many and with more bytes of
// weights a multiprocessor.
constexpr int kLongRow = 80 * 128;
constexpr int kStreamCols = 40 * 128;
constexpr int kStreamBytes = 200 * 1024;

struct OneArgs {
  const float* x;     // (cols)
  const float* gain;  // (cols), or null
  const void* tiles;
  const float* scale;  // (rows)
  float* y;
  int rows, cols, k_tiles;
  int units;  // blocks of 16 rows; with a gate, pairs of blocks
  int slots;  // for tiles of a warp
  float eps;
  bool add;
  Gate gate;
  bool late;  // releases its successor when its row is there
};

// Shared memory: tiles, then sums (warps, local rows). kBulk: all tiles (blocks, k_tiles) by bulk
// copies; otherwise (warps, slots).
template <int kTiles, bool kGated, bool kBulk>
__global__ void __maxnreg__(kTiles == 1 ? 48 : kTiles <= 3 ? 56 : 64) One(OneArgs a) {
  extern __shared__ __align__(16) unsigned char memory[];
  __shared__ RowMemory row_memory;
  __shared__ int code_sums[32];
  __shared__ uint64_t arrived;
  const int warps = blockDim.x / 32, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int g = lane / 4, t = lane % 4;
  const int first = a.units * blockIdx.x / gridDim.x;
  const int own = a.units * (blockIdx.x + 1) / gridDim.x - first;
  const int blocks = kGated ? 2 * own : own, local_rows = blocks * kTileRows;
  const int k_begin = warp * kTiles, k_count = min(kTiles, a.k_tiles - k_begin);

  const char* tiles =
      static_cast<const char*>(a.tiles) + static_cast<int64_t>(first) * a.k_tiles * kTileBytes;
  const int jump = kGated ? a.units - own : 0;  // blocks between the gate's and the other half's
  const int block_bytes = a.k_tiles * kTileBytes;
  TileRing ring(memory, a.slots, tiles + k_begin * kTileBytes, a.k_tiles, k_count,
                kBulk ? 0 : blocks, own, jump);
  if constexpr (kBulk) {
    if (threadIdx.x == 0) {
      InitBulkBarrier(&arrived);
      ExpectBulk(&arrived, blocks * block_bytes);
      for (int i = 0; i < blocks; ++i)
        CopyBulk(memory + i * block_bytes,
                 tiles + static_cast<int64_t>(i < own ? i : i + jump) * block_bytes, block_bytes,
                 &arrived);
    }
  } else {
    ring.Fill();
  }
  float gain[kTiles][4];
  LoadColumns(gain, a.gain != nullptr ? a.gain : a.x, a.gain != nullptr ? a.cols : 0, true, 1.0f);
  auto* sums = reinterpret_cast<int*>(
      memory + (kBulk ? blocks * block_bytes : warps * a.slots * kTileBytes));
  const int outputs = own * kTileRows, summer = threadIdx.x % kSummers;
  const int output = threadIdx.x / kSummers;  // the first of this thread
  const int row = first * kTileRows + (output < outputs ? output : 0);
  float scale = row < a.rows ? a.scale[row] : 0.0f;
  float up_scale = kGated ? a.scale[row + a.rows / 2] : 0.0f;
  if (!a.late) ReleaseSuccessor();
  WaitForPredecessor();

  float x[kTiles][4];
  LoadColumns(x, a.x, a.cols, true, 0.0f);
  float old = 0.0f;
  if (!kGated && a.add && summer == 0 && output < outputs && row < a.rows) old = a.y[row];
  uint32_t codes[kTiles], b[kTiles][8];
  const float step =
      QuantizeRow(x, gain, a.gain != nullptr, a.cols, a.eps, warps, row_memory, codes);
#pragma unroll
  for (int i = 0; i < kTiles; ++i)
#pragma unroll
    for (int j = 0; j < 8; ++j) b[i][j] = __shfl_sync(~0u, codes[i], 4 * j + t);
  const int code_sum = SumCodes(codes);
  if (lane == 0) code_sums[warp] = code_sum;

  if (a.late) ReleaseSuccessor();
  if (kBulk) WaitBulk(&arrived);
  const unsigned char* own_tiles = memory + k_begin * kTileBytes + lane * 16;
  int* to = sums + warp * local_rows + g;
#pragma unroll 2
  for (int block = 0; block < blocks; ++block, to += kTileRows) {
    TileSums acc;
#pragma unroll
    for (int i = 0; i < kTiles; ++i)
      if (i < k_count)
        acc.Multiply(
            kBulk ? *reinterpret_cast<const uint4*>(own_tiles + i * kTileBytes) : ring.Next(),
            b[i]);
    own_tiles += block_bytes;
    if (t == 0) {  // the lanes with column 0 of the product
      to[0] = acc.Total(0);
      to[8] = acc.Total(2);
    }
  }
  __syncthreads();

  const auto total = [&](int local_row) {
    int sum = 0;
#pragma unroll 5
    for (int w = summer; w < warps; w += kSummers)
      sum += sums[w * local_rows + local_row] - code_sums[w];
#pragma unroll
    for (int offset = kSummers / 2; offset > 0; offset /= 2)
      sum += __shfl_xor_sync(~0u, sum, offset);
    return static_cast<float>(sum);
  };
  // Whole warps go round together, for the shuffles; mostly once.
  for (int o = output; o - output < outputs; o += blockDim.x / kSummers) {
    const int n = first * kTileRows + o, at = o < outputs ? o : 0;
    const bool mine = summer == 0 && o < outputs && n < a.rows;
    if (o != output && mine) {
      scale = a.scale[n];
      if (kGated) up_scale = a.scale[n + a.rows / 2];
      if (!kGated && a.add) old = a.y[n];
    }
    float value = total(at) * (scale * step);
    if constexpr (kGated) value = GateOf(a.gate, value) * (total(outputs + at) * (up_scale * step));
    if (mine) a.y[n] = !kGated && a.add ? old + value : value;
  }
}

template <int kTiles, bool kGated>
void LaunchOne(const LinearArgs& a, const NormArgs& norm, const Launch& launch) {
  const int units = kGated ? a.w.rows / 32 : (a.w.rows + kTileRows - 1) / kTileRows;
  const int grid = std::min(units, launch.multiprocessors);
  const int local = (units + grid - 1) / grid * (kGated ? 2 : 1);
  const int warps = ShareOfRow(a.w.cols).warps;
  const int all = local * a.w.k_tiles * kTileBytes;
  const bool bulk = launch.compute >= 90 && all <= kBulkBytes;
  const int slots = std::min(kAhead, local * kTiles);
  const size_t bytes = static_cast<size_t>(bulk ? all : warps * slots * kTileBytes) +
                       static_cast<size_t>(warps) * local * kTileRows * sizeof(int);
  // A long row comes slowly enough as it is: its successor's weights would delay it.
  const bool late = a.w.cols > a.w.rows;
  const OneArgs args{norm.x,      norm.gain, a.w.tiles, a.scale,  a.y,   a.w.rows, a.w.cols,
                     a.w.k_tiles, units,     slots,     norm.eps, a.add, a.gate,   late};
  auto* kernel = bulk ? One<kTiles, kGated, true> : One<kTiles, kGated, false>;
  PrepareShared(kernel, bytes);
  Start(launch, kernel, dim3(static_cast<unsigned>(grid)), warps * 32, bytes, args);
}

bool Streams(const LinearArgs& a, const Launch& launch) {
  return a.m > 1 || a.w.cols > kLongRow ||
         (a.w.cols > kStreamCols &&
          static_cast<int64_t>(a.w.bytes()) > int64_t{launch.multiprocessors} * kStreamBytes);
}

}  // namespace

void NormLinearFew(const NormArgs& norm, const LinearArgs& args, const Launch& launch) {
  if (Streams(args, launch) && StreamNormLinear(norm, args, launch)) return;
  if (args.m > 1) {
    NormQuantize(norm, launch);
    return LinearFew(args, launch);
  }
  WithTiles(args.w.cols, [&]<int kTiles>() {
    if (args.gate == Gate::kNone)
      LaunchOne<kTiles, false>(args, norm, launch);
    else
      LaunchOne<kTiles, true>(args, norm, launch);
  });
}

}  // namespace tern::cuda
