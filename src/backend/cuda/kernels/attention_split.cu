// Launches attention of single rows.
#include <algorithm>

#include "backend/cuda/kernels/attention_split.cuh"

namespace tern::cuda {
namespace {

// Scratch: counters, then sums, then partial results. Counters are zero between calls, whatever the
// shapes of the calls, so that they have a place of their own.
constexpr int kCounters = 1 << 16;
constexpr int kMostSingles = 65535;  // of a launch: the grid's third dimension

int Chunks(int max_positions) { return (max_positions + kChunk - 1) / kChunk; }

template <class E, int D, bool kFused>
void StartSplit(const SplitArgs& args, int singles, const Launch& launch) {
  const auto kernel = SplitKernel<E, D, kFused>;
  constexpr int kBytes = sizeof(SplitShared<D>);
  static const cudaError_t attribute =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  (void)attribute;
  const dim3 grid(args.chunks, args.kv.kv_heads * args.tiles, singles);
  Start(launch, kernel, grid, dim3(kSplitThreads), kBytes, args);
}

template <class E, int D>
void StartFor(const SplitArgs& args, bool fused, int singles, const Launch& launch) {
  if (fused)
    StartSplit<E, D, true>(args, singles, launch);
  else
    StartSplit<E, D, false>(args, singles, launch);
}

template <class E>
void StartFor(const SplitArgs& args, bool fused, int singles, const Launch& launch) {
  switch (args.kv.head_dim) {
    case 64:
      return StartFor<E, 64>(args, fused, singles, launch);
    case 128:
      return StartFor<E, 128>(args, fused, singles, launch);
    default:
      return StartFor<E, 256>(args, fused, singles, launch);
  }
}

}  // namespace

size_t AttentionScratchBytes(int singles, int heads, int head_dim, int max_positions) {
  const int chunks = Chunks(max_positions);
  const size_t parts = chunks > 1 ? static_cast<size_t>(singles) * chunks * heads : 0;
  return kCounters * sizeof(int) + parts * (sizeof(float2) + head_dim * sizeof(float));
}

void AttentionSingles(const AttentionArgs& args, const RopeArgs* rope, const DeviceStep& step,
                      const KvArgs& kv, const Launch& launch) {
  SplitArgs split = {};
  split.q = rope ? rope->qkv : args.q;
  split.q_stride = rope ? rope->stride : args.q_stride;
  split.out = args.out;
  split.out_stride = args.out_stride;
  split.step = step;
  split.kv = kv;
  if (rope) split.rope = *rope;
  split.tiles = (kv.heads / kv.kv_heads + kSplitQueries - 1) / kSplitQueries;
  split.chunks = Chunks(args.max_positions);
  split.counters = static_cast<int*>(args.scratch);
  split.sums = reinterpret_cast<float2*>(split.counters + kCounters);
  const int slice = std::min(kMostSingles, kCounters / (kv.kv_heads * split.tiles));
  split.partial = reinterpret_cast<float*>(
      split.sums + static_cast<int64_t>(std::min(slice, args.singles)) * split.chunks * kv.heads);
  for (int first = 0; first < args.singles; first += slice) {
    split.first_single = first;
    const int singles = std::min(slice, args.singles - first);
    if (StreamsSingles(kv, split.tiles, singles, launch)) {
      StreamSingles(split, rope, singles, launch);
      continue;
    }
    switch (kv.type) {
      case KvType::kF16:
        StartFor<__half>(split, rope, singles, launch);
        break;
      case KvType::kBf16:
        StartFor<__nv_bfloat16>(split, rope, singles, launch);
        break;
      default:
        StartFor<int8_t>(split, rope, singles, launch);
    }
  }
}

}  // namespace tern::cuda
