// Which kernels attend.
#include "backend/cuda/kernels/attention_math.cuh"

namespace tern::cuda {

void Attention(const AttentionArgs& args, const DeviceStep& step, const KvArgs& kv,
               const Launch& launch) {
  if (!IsTiled(kv, launch.compute)) return AttentionPlain(args, step, kv, launch);
  if (args.singles > 0) AttentionSingles(args, nullptr, step, kv, launch);
  if (args.runs > 0) AttentionRuns(args, step, kv, launch);
}

void RopeAttention(const RopeArgs& rope, const AttentionArgs& args, const DeviceStep& step,
                   const KvArgs& kv, const Launch& launch) {
  if (IsTiled(kv, launch.compute)) return AttentionSingles(args, &rope, step, kv, launch);
  RopeStoreKv(rope, step, kv, launch);
  Attention(args, step, kv, launch);
}

}  // namespace tern::cuda
