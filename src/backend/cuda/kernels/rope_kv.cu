// Norms and turns queries and keys, and stores keys and values.
#include "backend/cuda/kernels/rope.cuh"

namespace tern::cuda {
namespace {

constexpr int kWarps = 8;

// A warp for each head of q, k and v of each row.
template <class E, int kSlots>
__global__ void __launch_bounds__(32 * kWarps)
    RopeStoreKernel(const RopeArgs rope, const DeviceStep step, const KvArgs kv) {
  const unsigned all = kv.heads + 2 * kv.kv_heads;
  const unsigned task = blockIdx.x * kWarps + threadIdx.x / 32;
  const int row = static_cast<int>(task / all), head = static_cast<int>(task % all);
  WaitForPredecessor();
  ReleaseSuccessor();
  if (row >= rope.rows) return;
  const int dim = kv.head_dim, position = step.positions[row];
  float* at = rope.qkv + row * rope.stride + head * dim;
  HeadPart<kSlots> part = LoadHead<kSlots>(at, dim, rope.dims, rope.interleaved);
  const bool value = head >= kv.heads + kv.kv_heads, query = head < kv.heads;
  if (!value) {
    NormTurn(part, rope, query ? rope.q_norm : rope.k_norm, LoadTurn<kSlots>(rope, position), dim);
#pragma unroll
    for (int s = 0; s < kSlots; ++s) {
      const int i = static_cast<int>(threadIdx.x % 32) + 32 * s;
      if (2 * i >= dim) continue;
      const Pair pair = PairAt(i, rope.dims, rope.interleaved);
      at[pair.a] = part.x[s];
      at[pair.b] = part.y[s];
    }
  }
  if (query) return;
  const int32_t* table = step.tables + step.table_begin[step.sequences[row]];
  const int kv_head = (head - kv.heads) % kv.kv_heads;
  void* piece = PieceAt(value ? kv.v : kv.k, kv,
                        table[position / static_cast<int>(kBlockPositions)], kv_head);
  StoreHead<E>(part, dim, rope.dims, rope.interleaved, piece,
               position % static_cast<int>(kBlockPositions), true, [](int, float, float) {});
}

template <class E>
void StartFor(const RopeArgs& args, const DeviceStep& step, const KvArgs& kv,
              const Launch& launch) {
  const int64_t tasks = static_cast<int64_t>(args.rows) * (kv.heads + 2 * kv.kv_heads);
  const dim3 grid(static_cast<unsigned>((tasks + kWarps - 1) / kWarps));
  const auto kernel = kv.head_dim <= 64    ? RopeStoreKernel<E, 1>
                      : kv.head_dim <= 128 ? RopeStoreKernel<E, 2>
                      : kv.head_dim <= 256 ? RopeStoreKernel<E, 4>
                                           : RopeStoreKernel<E, 16>;
  Start(launch, kernel, grid, dim3(32 * kWarps), 0, args, step, kv);
}

}  // namespace

void RopeStoreKv(const RopeArgs& args, const DeviceStep& step, const KvArgs& kv,
                 const Launch& launch) {
  if (args.rows == 0) return;
  switch (kv.type) {
    case KvType::kF32:
      return StartFor<float>(args, step, kv, launch);
    case KvType::kF16:
      return StartFor<__half>(args, step, kv, launch);
    case KvType::kBf16:
      return StartFor<__nv_bfloat16>(args, step, kv, launch);
    case KvType::kInt8:
      return StartFor<int8_t>(args, step, kv, launch);
  }
}

}  // namespace tern::cuda
