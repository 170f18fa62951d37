// Float operations of the CPU backend, one table an instruction set. Freestanding, like
// kernel_contract.h. Every function gives the bits of the reference backend's formula of the same
// name (backend/reference/reference_math.h).
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace tern::cpu {

/// Positions of a piece of keys or values (backend/kv_layout.h), and the most that a call of attend
/// or attend_narrow goes over (base/math.h).
inline constexpr int64_t kPiecePositions = 32;
inline constexpr int64_t kMaxBlock = 256;

/// The query heads that share one key and value head, over `count` positions, at most kMaxBlock of
/// them.
struct AttendArgs {
  const float* q;  // (heads, head_dim)
  int64_t heads;
  int64_t head_dim;
  const float* const* k;  // (pieces) of (positions, head_dim)
  const float* const* v;
  int64_t count;
  float scale;
  float* largest;  // (heads): the block's largest score
  float* sum;      // (heads): sum of e^(score - largest)
  float* out;      // (heads, head_dim): sum of e^(score - largest) v
};

/// Caches that are narrower than float: KvType's of the same names.
enum class CacheType : uint8_t { kF16, kBf16, kInt8 };

/// Up to 16 queries against one kv head of such a cache (backend/kv_layout.h).
struct AttendNarrowArgs {
  CacheType type;
  const float* q;        // (rows, head_dim): rounded (round_factors), or int8 codes
  const float* q_steps;  // (rows), of the codes; kInt8 only
  int64_t rows;
  int64_t head_dim;
  const void* const* k;  // (pieces), as many as hold the positions of any query
  const void* const* v;
  const int32_t* counts;  // (rows): positions that the query sees, 0..kMaxBlock
  float scale;
  float* largest;  // (rows): the largest score; -infinity for none
  float* sum;      // (rows): sum of the weights e^(score - largest)
  float* out;      // (rows, head_dim): sum of weight * v
};

/// The blocks of one query: numbers of block b at b * stride.
struct JoinArgs {
  const float* largest;
  const float* sum;
  const float* parts;  // (head_dim)
  int64_t stride;
  int64_t blocks;
  int64_t head_dim;
  float* out;
};

enum class RowType : uint8_t { kF32, kF16, kBF16 };

struct FloatOps {
  /// out = x / sqrt(mean(x^2) + eps) * gain; out may be x.
  void (*rms_norm)(const float* x, const float* gain, float eps, int64_t n, float* out);
  /// Int8 absmax quantisation; also the step 1/s and the sum of q.
  void (*quantize)(const float* x, int64_t n, int8_t* q, float* step, int32_t* sum);
  /// out = gate(gate) * up; squared ReLU, or SiLU when `silu`.
  void (*gate)(const float* gate, const float* up, int64_t n, bool silu, float* out);
  void (*attend)(const AttendArgs& args);
  /// What a 16-bit cache is multiplied with: rounded to bfloat16, or to 13 bits (base/bf16.h).
  void (*round_factors)(bool bf16, const float* x, int64_t n, float* out);
  /// To bfloat16, or halves, as a cache holds them (base/bf16.h).
  void (*narrow)(bool bf16, const float* x, int64_t n, uint16_t* out);
  void (*attend_narrow)(const AttendNarrowArgs& args);
  void (*join_blocks)(const JoinArgs& args);
  /// RoPE: turns the first `dims` elements of a head; cos_sin is dims / 2 cosines, then sines.
  void (*turn_head)(float* head, bool interleaved, int64_t dims, const float* cos_sin);
  /// out[i * out_stride] = x[i] . row for m rows of x; the row is (k) of the given type.
  void (*dot_rows)(const void* row, RowType type, const float* x, int64_t x_stride, int64_t m,
                   int64_t k, float* out, int64_t out_stride);
  /// out[i * out_stride] = (x[i] . w) with w int8, for float activations.
  void (*dot_ternary)(const int8_t* w, const float* x, int64_t x_stride, int64_t m, int64_t k,
                      float* out, int64_t out_stride);
};

}  // namespace tern::cpu
