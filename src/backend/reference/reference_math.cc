#include "backend/reference/reference_math.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/bf16.h"
#include "base/exp.h"
#include "base/float16.h"
#include "base/math.h"

namespace tern {

void RmsNormRow(const float* x, const float* gain, float eps, size_t n, float* out) {
  if (gain == nullptr) {
    std::copy(x, x + n, out);
    return;
  }
  const float mean = SumLanes(n, [x](size_t i) { return x[i] * x[i]; }) / static_cast<float>(n);
  const float inverse = 1.0f / std::sqrt(mean + eps);
  for (size_t i = 0; i < n; ++i) out[i] = x[i] * inverse * gain[i];
}

float QuantizeGroup(const float* x, size_t n, int8_t* q) {
  float largest = 0;
  for (size_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(x[i]));
  // A NaN never wins the comparison above; the lower bound keeps the scale finite for a row of
  // zeros.
  const float s = 127.0f / std::max(largest, 1e-5f);
  for (size_t i = 0; i < n; ++i) {
    const float rounded = std::nearbyint(x[i] * s);  // half to even, the default rounding mode
    q[i] = static_cast<int8_t>(rounded >= -128.0f ? std::min(rounded, 127.0f) : -128.0f);
  }
  return s;
}

void StoreInputRow(const float* x, const LinearInput& input, int64_t r) {
  const auto cols = static_cast<size_t>(input.cols);
  if (input.type == ActivationType::kFloat) {
    float* to = input.values + r * input.stride;
    std::copy(x, x + cols, to);
    std::fill(to + cols, to + input.stride, 0.0f);
    return;
  }
  int8_t* to = input.q + r * input.stride;
  const auto group = static_cast<size_t>(input.group);
  const int64_t groups = input.cols / input.group;
  for (int64_t g = 0; g < groups; ++g) {
    const size_t first = static_cast<size_t>(g) * group;
    const int64_t at = r * groups + g;
    input.step[at] = 1.0f / QuantizeGroup(x + first, group, to + first);
    input.sums[at] = std::accumulate(to + first, to + first + group, int32_t{0});
  }
  std::fill(to + cols, to + input.stride, int8_t{0});
}

int32_t DotInt8(const int8_t* a, const int8_t* b, size_t n) {
  int32_t sum = 0;
  for (size_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

float RowDot(const LinearInput& x, int64_t m, const int8_t* weights, const TernaryMatrix& matrix,
             int64_t n, int64_t group) {
  const int64_t groups = x.cols / group;
  const auto size = static_cast<size_t>(group);
  float total = 0;
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t first = g * group;
    const float weight_scale = matrix.ScaleAt(n, first);
    float part;
    if (x.type == ActivationType::kInt8) {
      const int32_t sum = DotInt8(x.q + m * x.stride + first, weights + first, size);
      part = static_cast<float>(sum) * (weight_scale * x.step[m * groups + g]);
    } else {
      const float* values = x.values + m * x.stride + first;
      const int8_t* w = weights + first;
      part = SumLanes(size, [&](size_t i) { return values[i] * static_cast<float>(w[i]); }) *
             weight_scale;
    }
    total = g == 0 ? part : total + part;
  }
  return total;
}

void TurnHead(float* head, RopeStyle style, int64_t dims, const float* cos_sin) {
  const int64_t half = dims / 2;
  for (int64_t i = 0; i < half; ++i) {
    const int64_t a = style == RopeStyle::kNeox ? i : 2 * i;
    const int64_t b = style == RopeStyle::kNeox ? i + half : 2 * i + 1;
    const float x = head[a], y = head[b], c = cos_sin[i], s = cos_sin[half + i];
    head[a] = x * c - y * s;
    head[b] = y * c + x * s;
  }
}

namespace {

struct AttentionBlock {
  float largest = 0;
  float sum = 0;
  std::vector<float> out;
};

// A NaN never wins.
float Largest(const std::vector<float>& scores) {
  float largest = -std::numeric_limits<float>::infinity();
  for (const float score : scores) largest = largest < score ? score : largest;
  return largest;
}

AttentionBlock AttendBlock(const float* q, const KvRows<float>& rows, float scale, size_t head_dim,
                           int64_t begin, int64_t end) {
  const auto count = static_cast<size_t>(end - begin), first = static_cast<size_t>(begin);
  const auto row = [&](const std::vector<const float*>& pieces, size_t p) {
    return pieces[p / kBlockPositions] + p % kBlockPositions * head_dim;
  };
  std::vector<float> weights(count);
  for (size_t p = 0; p < count; ++p) weights[p] = Dot(q, row(rows.k, first + p), head_dim) * scale;
  AttentionBlock block;
  block.largest = Largest(weights);
  for (float& w : weights) w = Exp(w - block.largest);
  block.sum = SumLanes(count, [&](size_t i) { return weights[i]; });
  block.out.assign(head_dim, 0.0f);
  for (size_t p = 0; p < count; ++p) {
    const float* v = row(rows.v, first + p);
    for (size_t d = 0; d < head_dim; ++d) block.out[d] += weights[p] * v[d];
  }
  return block;
}

// Blocks in increasing order; out (head_dim).
void JoinBlocks(const std::vector<AttentionBlock>& blocks, size_t head_dim, float* out) {
  float largest = blocks.front().largest;
  for (const AttentionBlock& block : blocks) largest = std::max(largest, block.largest);
  float sum = 0;
  std::fill(out, out + head_dim, 0.0f);
  for (const AttentionBlock& block : blocks) {
    const float factor = Exp(block.largest - largest);
    sum += factor * block.sum;
    for (size_t d = 0; d < head_dim; ++d) out[d] += factor * block.out[d];
  }
  const float inverse = 1.0f / sum;
  for (size_t d = 0; d < head_dim; ++d) out[d] *= inverse;
}

// Sum of n products in the order of TDPBF16PS.
template <class Product>
float SumTile(size_t n, Product product) {
  float total = 0;
  for (size_t first = 0; first < n; first += 32) {
    float even = 0, odd = 0;
    for (size_t i = first; i < std::min(n, first + 32); ++i)
      (i % 2 == 0 ? even : odd) += product(i);
    total += even + odd;
  }
  return total;
}

// What a number of the cache is multiplied with.
float RoundFactor(KvType type, float x) {
  return type == KvType::kBf16 ? RoundBf16(x) : Round13<float, uint32_t>(x);
}

AttentionBlock AttendBlock16(const std::vector<float>& q, KvType type, const KvRows<uint16_t>& rows,
                             float scale, int64_t begin, int64_t end) {
  const auto count = static_cast<size_t>(end - begin);
  const auto head_dim = static_cast<int64_t>(q.size());
  const auto decode = type == KvType::kF16 ? HalfToFloat : Bf16ToFloat;
  const auto key = [&](size_t p, size_t d) {
    const int64_t at = begin + static_cast<int64_t>(p);
    return decode(rows.k[static_cast<size_t>(at / kBlockPositions)]
                        [KeyIndex(type, at % kBlockPositions, static_cast<int64_t>(d), head_dim)]);
  };
  const auto value = [&](size_t p, size_t d) {
    const int64_t at = begin + static_cast<int64_t>(p);
    return decode(rows.v[static_cast<size_t>(at / kBlockPositions)][ValueIndex(
        type, at % kBlockPositions, static_cast<int64_t>(d), head_dim)]);
  };
  std::vector<float> weights(count);
  for (size_t p = 0; p < count; ++p)
    weights[p] = SumTile(q.size(), [&](size_t d) { return q[d] * key(p, d); }) * scale;
  AttentionBlock block;
  block.largest = Largest(weights);
  for (float& w : weights) w = RoundFactor(type, Exp(w - block.largest));
  block.sum = SumLanes(count, [&](size_t p) { return weights[p]; });
  for (size_t d = 0; d < q.size(); ++d)
    block.out.push_back(SumTile(count, [&](size_t p) { return weights[p] * value(p, d); }));
  return block;
}

// The step of position p.
float StepAt(const std::vector<const int8_t*>& pieces, size_t p, size_t head_dim) {
  const int8_t* steps = pieces[p / kBlockPositions] + kBlockPositions * head_dim;
  return reinterpret_cast<const float*>(steps)[p % kBlockPositions];
}

AttentionBlock AttendBlock8(const std::vector<int8_t>& q, float q_scale, const KvRows<int8_t>& rows,
                            int64_t begin, int64_t end) {
  const auto count = static_cast<size_t>(end - begin), first = static_cast<size_t>(begin);
  const auto head_dim = static_cast<int64_t>(q.size());
  const auto code = [&](const std::vector<const int8_t*>& pieces, auto index, size_t p, size_t d) {
    return pieces[p / kBlockPositions]
                 [index(KvType::kInt8, static_cast<int64_t>(p % kBlockPositions),
                        static_cast<int64_t>(d), head_dim)];
  };
  std::vector<float> weights(count), factors(count);
  for (size_t p = 0; p < count; ++p) {
    int32_t sum = 0;
    for (size_t d = 0; d < q.size(); ++d) sum += q[d] * code(rows.k, KeyIndex, first + p, d);
    weights[p] = static_cast<float>(sum) * (StepAt(rows.k, first + p, q.size()) * q_scale);
  }
  AttentionBlock block;
  block.largest = Largest(weights);
  for (size_t p = 0; p < count; ++p) {
    weights[p] = Round13<float, uint32_t>(Exp(weights[p] - block.largest));
    factors[p] = Round13<float, uint32_t>(weights[p] * StepAt(rows.v, first + p, q.size()));
  }
  block.sum = SumLanes(count, [&](size_t p) { return weights[p]; });
  for (size_t d = 0; d < q.size(); ++d)
    block.out.push_back(SumTile(count, [&](size_t p) {
      return factors[p] * static_cast<float>(code(rows.v, ValueIndex, first + p, d));
    }));
  return block;
}

}  // namespace

void AttendHead(const float* q, const KvRows<float>& rows, float scale, size_t head_dim,
                float* out) {
  std::vector<AttentionBlock> blocks;
  for (int64_t begin = 0; begin < rows.count; begin += kAttentionBlock)
    blocks.push_back(AttendBlock(q, rows, scale, head_dim, begin,
                                 std::min(rows.count, begin + kAttentionBlock)));
  JoinBlocks(blocks, head_dim, out);
}

void AttendHead16(const float* q, KvType type, const KvRows<uint16_t>& rows, float scale,
                  size_t head_dim, float* out) {
  std::vector<float> query(q, q + head_dim);
  for (float& x : query) x = RoundFactor(type, x);
  std::vector<AttentionBlock> blocks;
  for (int64_t begin = 0; begin < rows.count; begin += kAttentionBlock)
    blocks.push_back(AttendBlock16(query, type, rows, scale, begin,
                                   std::min(rows.count, begin + kAttentionBlock)));
  JoinBlocks(blocks, head_dim, out);
}

void AttendHead8(const float* q, const KvRows<int8_t>& rows, float scale, size_t head_dim,
                 float* out) {
  std::vector<int8_t> codes(head_dim);
  const float step = 1.0f / QuantizeGroup(q, head_dim, codes.data());
  std::vector<AttentionBlock> blocks;
  for (int64_t begin = 0; begin < rows.count; begin += kAttentionBlock)
    blocks.push_back(AttendBlock8(codes, step * scale, rows, begin,
                                  std::min(rows.count, begin + kAttentionBlock)));
  JoinBlocks(blocks, head_dim, out);
}

float Gate(GateFunction function, float x) {
  if (function == GateFunction::kReluSquared) {
    const float positive = std::max(x, 0.0f);
    return positive * positive;
  }
  return x / (1.0f + Exp(-x));
}

}  // namespace tern
