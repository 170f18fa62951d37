// Keys and values in blocks, and attention over them.
#pragma once

#include <cstdint>

#include "backend/cuda/kernels/launch.h"
#include "backend/kv_layout.h"

namespace tern::cuda {

/// Device copies of what a pass is about. The arrays stand at the same addresses in every pass.
struct DeviceStep {
  const int32_t* positions = nullptr;    // (rows)
  const int32_t* sequences = nullptr;    // (rows)
  const int32_t* tables = nullptr;       // blocks of all sequences, one table after the other
  const int32_t* table_begin = nullptr;  // (sequences): where in `tables` one begins
  /// Rows that are the only one of their sequence, or few, one work item each: (singles).
  const int32_t* single_rows = nullptr;
  /// Runs of consecutive rows of one sequence, in increasing position, at most kTileQueries rows
  /// each: (runs, 2), first row and count.
  const int32_t* runs = nullptr;
};

/// Keys and values of a layer: (blocks, kv_heads) pieces of PieceBytes each, as kv_layout.h has
/// them, but within a piece keys and values are (kBlockPositions, head_dim), row-major, whatever
/// the type; kInt8: the positions' steps stand behind the codes.
struct KvArgs {
  KvType type = KvType::kF16;
  void* k = nullptr;
  void* v = nullptr;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
};

struct RopeArgs {
  float* qkv =
      nullptr;  // (rows, stride): q, k, v of a token; q and k are normed and turned in place
  int64_t stride = 0;
  int rows = 0;
  bool interleaved = false;        // RopeStyle
  int dims = 0;                    // leading elements of a head that are turned
  const float* cos_sin = nullptr;  // (positions, dims): cosines, then sines
  const float* q_norm = nullptr;   // (head_dim), or null
  const float* k_norm = nullptr;
  float eps = 0;
};

/// Norms and turns q and k in place, and stores k and v at each row's position.
void RopeStoreKv(const RopeArgs& args, const DeviceStep& step, const KvArgs& kv,
                 const Launch& launch);

struct AttentionArgs {
  const float* q = nullptr;  // (rows, q_stride)
  int64_t q_stride = 0;
  float* out = nullptr;  // (rows, out_stride)
  int64_t out_stride = 0;
  int singles = 0;          // of step.single_rows
  int runs = 0;             // of step.runs
  int max_positions = 0;    // of any single row, at least: how many chunks the launch provides for
  void* scratch = nullptr;  // AttentionScratchBytes(singles, heads, head_dim, max_positions),
                            // zeroed once; left so that the next call can use it
};

/// Rows of a run.
int AttentionRunRows(const KvArgs& kv);
size_t AttentionScratchBytes(int singles, int heads, int head_dim, int max_positions);

/// Causal attention of each row over positions 0..own of its sequence. A row's bits are the same
/// whether it is a single row or in a run, whatever else is in the pass, wherever its blocks lie.
void Attention(const AttentionArgs& args, const DeviceStep& step, const KvArgs& kv,
               const Launch& launch);

/// RopeStoreKv and Attention of a pass in which every row is a single row, and the only one of its
/// sequence: mostly in one kernel, with the same bits in `out` and in the blocks. args.q is
/// rope.qkv; afterwards q and k in there may be turned or not.
void RopeAttention(const RopeArgs& rope, const AttentionArgs& args, const DeviceStep& step,
                   const KvArgs& kv, const Launch& launch);

}  // namespace tern::cuda
