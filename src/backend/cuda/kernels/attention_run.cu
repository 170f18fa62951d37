// Launches attention of runs of rows.
#include "backend/cuda/kernels/attention_run.cuh"

namespace tern::cuda {
namespace {

template <class E, int D>
void StartRuns(const RunArgs& args, const Launch& launch) {
  const auto kernel = RunKernel<E, D>;
  constexpr int kBytes = sizeof(RunShared<E, D>);
  static const cudaError_t attribute =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  (void)attribute;
  const dim3 grid(args.kv.kv_heads, args.runs, D / RunColumns(D));
  Start(launch, kernel, grid, dim3(kRunThreads), kBytes, args);
}

template <class E>
void StartFor(const RunArgs& args, const Launch& launch) {
  switch (args.kv.head_dim) {
    case 64:
      return StartRuns<E, 64>(args, launch);
    case 128:
      return StartRuns<E, 128>(args, launch);
    default:
      return StartRuns<E, 256>(args, launch);
  }
}

}  // namespace

int AttentionRunRows(const KvArgs& kv) {
  const int rows = kRunQueries / (kv.heads / kv.kv_heads);
  return rows > 1 ? rows : 1;
}

void AttentionRuns(const AttentionArgs& args, const DeviceStep& step, const KvArgs& kv,
                   const Launch& launch) {
  const RunArgs run = {args.q, args.q_stride, args.out, args.out_stride, step, kv, args.runs};
  switch (kv.type) {
    case KvType::kF16:
      return StartFor<__half>(run, launch);
    case KvType::kBf16:
      return StartFor<__nv_bfloat16>(run, launch);
    default:
      return StartFor<int8_t>(run, launch);
  }
}

}  // namespace tern::cuda
