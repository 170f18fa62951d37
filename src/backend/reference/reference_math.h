// The formulas of the reference backend, one function each, for a single row or head.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "backend/kv_layout.h"

namespace tern {

/// out = x / sqrt(mean(x^2) + eps) * gain; a null gain copies x unchanged (no norm). out may be x.
void RmsNormRow(const float* x, const float* gain, float eps, size_t n, float* out);

/// Int8 absmax quantisation of n values that share a step; returns s = 127 / max(max|x|, 1e-5).
float QuantizeGroup(const float* x, size_t n, int8_t* q);

/// Row r of a linear input from x (cols), as input.type says; fills the padding with zeros.
void StoreInputRow(const float* x, const LinearInput& input, int64_t r);

/// Exact: int32 sum of products.
int32_t DotInt8(const int8_t* a, const int8_t* b, size_t n);

/// One output of a linear layer: row m of x times weight row n. Sums inside a group are exact
/// (int8) or in the fixed order (float); groups are added in increasing order.
float RowDot(const LinearInput& x, int64_t m, const int8_t* weights, const TernaryMatrix& matrix,
             int64_t n, int64_t group);

/// Turns the first `dims` elements of a head by the angles of its position.
void TurnHead(float* head, RopeStyle style, int64_t dims, const float* cos_sin);

/// Keys and values of one kv head, as kv_layout.h has them: position p in piece p /
/// kBlockPositions.
template <class T>
struct KvRows {
  std::vector<const T*> k;
  std::vector<const T*> v;
  int64_t count = 0;
};

/// out = softmax(q . k * scale) v, block by block (kAttentionBlock). Block b gives its largest
/// score m_b, the sum l_b of e^(score - m_b) and the sum o_b of e^(score - m_b) v; with m the
/// largest m_b and f_b = e^(m_b - m), out = sum f_b o_b / sum f_b l_b.
void AttendHead(const float* q, const KvRows<float>& rows, float scale, size_t head_dim,
                float* out);

/// The same over a 16-bit cache. Sums of products follow AMX's TDPBF16PS (Intel 64 and IA-32
/// Architectures Software Developer's Manual): over 32 elements or positions at a time, those with
/// an even index are added up in increasing order, those with an odd index too, and the sum of the
/// two is added to the total. q and the weights w_p = e^(score - m_b) are rounded as KvType says,
/// and l_b is the sum of the rounded weights.
void AttendHead16(const float* q, KvType type, const KvRows<uint16_t>& rows, float scale,
                  size_t head_dim, float* out);

/// The same over an int8 cache. With q quantised as a linear input is (codes and a step), a score
/// is sum(q k) * (step of k * (step of q * scale)), the sum exact. The weights w_p = e^(score -
/// m_b) are rounded to 13 bits (base/bf16.h), l_b is their sum, and o_b the sum, in the order
/// above, of the value's code and w_p * step of v, rounded likewise.
void AttendHead8(const float* q, const KvRows<int8_t>& rows, float scale, size_t head_dim,
                 float* out);

float Gate(GateFunction function, float x);

}  // namespace tern
