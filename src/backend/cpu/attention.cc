#include "backend/cpu/attention.h"

#include <algorithm>
#include <cmath>

#include "backend/kv_layout.h"
#include "base/math.h"

namespace tern::cpu {
namespace {

constexpr int64_t kMostQueries = 16;
static_assert(kMaxBlock == kAttentionBlock && kPiecePositions == kBlockPositions);
constexpr int64_t kMostPieces = kAttentionBlock / kBlockPositions;

size_t Index(int64_t i) { return static_cast<size_t>(i); }

// A block's numbers: (queries) largest scores, (queries) sums, (queries, head_dim).
int64_t PartFloats(int64_t queries, int64_t head_dim) { return queries * (head_dim + 2); }

CacheType NarrowType(KvType type) {
  if (type == KvType::kInt8) return CacheType::kInt8;
  return type == KvType::kBf16 ? CacheType::kBf16 : CacheType::kF16;
}

}  // namespace

struct Attention::Call {
  FloatView q;
  const HeadShape& shape;
  const StepInfo& step;
  const KvLayer& kv;
  FloatView out;
  float scale;
};

// Where a block's keys and values lie.
template <class T>
struct Attention::Pieces {
  Pieces(const Call& call, const Group& group, int64_t block) {
    const int64_t first = block * kMostPieces;
    const int64_t count = std::min(kMostPieces, BlocksFor(group.positions) - first);
    const auto blocks = call.step.Table(group.row).subspan(Index(first), Index(count));
    for (size_t i = 0; i < blocks.size(); ++i) {
      k[i] = call.kv.Keys<T>(call.shape, blocks[i], group.kv_head);
      v[i] = call.kv.Values<T>(call.shape, blocks[i], group.kv_head);
    }
  }

  const T* k[kMostPieces];
  const T* v[kMostPieces];
};

void Attention::MakeGroups(const Call& call) {
  const HeadShape& shape = call.shape;
  const int64_t share = shape.heads / shape.kv_heads;
  const int64_t pieces = (share + kMostQueries - 1) / kMostQueries;
  // The float32 kernel takes the heads of one row.
  const int64_t most_rows =
      call.kv.type == KvType::kF32 ? 1 : std::max<int64_t>(1, kMostQueries / share);
  groups_.clear();
  const auto rows = static_cast<int64_t>(call.step.positions.size());
  for (int64_t row = 0, count; row < rows; row += count) {
    count = 1;
    int32_t furthest = call.step.positions[Index(row)];
    while (count < most_rows && row + count < rows &&
           call.step.sequences[Index(row + count)] == call.step.sequences[Index(row)])
      furthest = std::max(furthest, call.step.positions[Index(row + count++)]);
    for (int64_t kv_head = 0; kv_head < shape.kv_heads; ++kv_head)
      for (int64_t piece = 0; piece < pieces; ++piece) {
        const int64_t first = share * piece / pieces, last = share * (piece + 1) / pieces;
        groups_.push_back({row, count, kv_head * share + first, last - first, kv_head, furthest + 1,
                           furthest / kAttentionBlock + 1});
      }
  }
}

void Attention::AttendBlock(const Call& call, const Group& group, int64_t block,
                            float* part) const {
  const int64_t dim = call.shape.head_dim, queries = group.rows * group.heads;
  const int64_t begin = block * kAttentionBlock;
  float* const largest = part;
  float* const sum = part + queries;
  float* const out = part + 2 * queries;
  if (call.kv.type == KvType::kF32) {
    const Pieces<float> pieces(call, group, block);
    ops_.attend({call.q.Row(group.row) + group.head * dim, group.heads, dim, pieces.k, pieces.v,
                 std::min(kAttentionBlock, group.positions - begin), call.scale, largest, sum,
                 out});
    return;
  }
  std::vector<float> q(Index(queries * dim));
  float steps[kMostQueries];
  int32_t counts[kMostQueries];
  for (int64_t r = 0; r < group.rows; ++r) {
    RoundQueries(call.kv.type, call.q.Row(group.row + r) + group.head * dim, group.heads, dim,
                 q.data() + r * group.heads * dim, steps + r * group.heads);
    const int64_t seen = call.step.positions[Index(group.row + r)] + 1 - begin;
    std::fill_n(counts + r * group.heads, group.heads,
                static_cast<int32_t>(std::clamp<int64_t>(seen, 0, kAttentionBlock)));
  }
  const Pieces<void> pieces(call, group, block);
  ops_.attend_narrow({NarrowType(call.kv.type), q.data(), steps, queries, dim, pieces.k, pieces.v,
                      counts, call.scale, largest, sum, out});
}

void Attention::RoundQueries(KvType type, const float* from, int64_t heads, int64_t dim, float* q,
                             float* steps) const {
  if (type != KvType::kInt8) return ops_.round_factors(type == KvType::kBf16, from, heads * dim, q);
  std::vector<int8_t> codes(Index(dim));
  for (int64_t h = 0; h < heads; ++h) {
    int32_t sum;
    ops_.quantize(from + h * dim, dim, codes.data(), steps + h, &sum);
    std::copy(codes.begin(), codes.end(), q + h * dim);
  }
}

void Attention::Join(const Call& call, const Group& group, const float* parts) const {
  const int64_t dim = call.shape.head_dim, queries = group.rows * group.heads;
  for (int64_t i = 0; i < queries; ++i) {
    const int64_t row = group.row + i / group.heads;
    ops_.join_blocks({parts + i, parts + queries + i, parts + 2 * queries + i * dim,
                      PartFloats(queries, dim),
                      call.step.positions[Index(row)] / kAttentionBlock + 1, dim,
                      call.out.Row(row) + (group.head + i % group.heads) * dim});
  }
}

void Attention::Run(FloatView q, const HeadShape& shape, const StepInfo& step, const KvLayer& kv,
                    FloatView out) {
  const Call call{q, shape, step, kv, out, 1.0f / std::sqrt(static_cast<float>(shape.head_dim))};
  MakeGroups(call);
  const auto count = static_cast<int64_t>(groups_.size());
  int64_t longest = 0;
  for (const Group& group : groups_) longest = std::max(longest, group.blocks);
  const int64_t part = PartFloats(kMostQueries, shape.head_dim);

  // Enough groups for every thread: each joins its blocks while they are in the cache.
  if (count >= 4 * pool_.threads() || longest == 1) {
    pool_.ParallelFor(Index(count), 1, [&](size_t first, size_t last) {
      std::vector<float> parts(Index(longest * part));
      for (size_t i = first; i < last; ++i) {
        const Group& group = groups_[i];
        const int64_t floats = PartFloats(group.rows * group.heads, shape.head_dim);
        for (int64_t b = 0; b < group.blocks; ++b)
          AttendBlock(call, group, b, parts.data() + b * floats);
        Join(call, group, parts.data());
      }
    });
    return;
  }
  // One row with a long past, say: its blocks keep the threads busy.
  parts_.resize(std::max(parts_.size(), Index(count * longest * part)));
  const auto parts_of = [&](int64_t group) { return parts_.data() + group * longest * part; };
  pool_.ParallelFor(Index(count * longest), 1, [&](size_t first, size_t last) {
    for (auto i = static_cast<int64_t>(first); i < static_cast<int64_t>(last); ++i) {
      const Group& group = groups_[Index(i / longest)];
      const int64_t b = i % longest;
      if (b < group.blocks)
        AttendBlock(
            call, group, b,
            parts_of(i / longest) + b * PartFloats(group.rows * group.heads, shape.head_dim));
    }
  });
  pool_.ParallelFor(Index(count), 1, [&](size_t first, size_t last) {
    for (size_t i = first; i < last; ++i) Join(call, groups_[i], parts_of(static_cast<int64_t>(i)));
  });
}

void Attention::Store(const float* kv_row, const HeadShape& shape, std::span<const BlockId> table,
                      int64_t position, const KvLayer& kv) const {
  const int64_t cols = shape.kv_cols(), dim = shape.head_dim;
  const BlockId block = table[Index(position / kBlockPositions)];
  position %= kBlockPositions;
  if (kv.type == KvType::kF32) {
    for (int64_t h = 0; h < shape.kv_heads; ++h) {
      const float* k = kv_row + h * dim;
      std::copy(k, k + dim, kv.Keys<float>(shape, block, h) + position * dim);
      std::copy(k + cols, k + cols + dim, kv.Values<float>(shape, block, h) + position * dim);
    }
    return;
  }
  if (kv.type == KvType::kInt8) {
    for (int64_t h = 0; h < shape.kv_heads; ++h) {
      const float* k = kv_row + h * dim;
      StoreCodes(k, dim, position, 16, kv.Keys<int8_t>(shape, block, h),
                 KeyIndex(kv.type, position, 0, dim));
      StoreCodes(k + cols, dim, position, 1, kv.Values<int8_t>(shape, block, h),
                 ValueIndex(kv.type, position, 0, dim));
    }
    return;
  }
  std::vector<uint16_t> narrow(Index(2 * cols));
  ops_.narrow(kv.type == KvType::kBf16, kv_row, 2 * cols, narrow.data());
  // From one element to the next of the same parity, and from one parity to the other.
  const int64_t k_pair = KeyIndex(kv.type, 0, 2, dim), k_odd = KeyIndex(kv.type, 0, 1, dim);
  const int64_t v_pair = ValueIndex(kv.type, 0, 2, dim), v_odd = ValueIndex(kv.type, 0, 1, dim);
  for (int64_t h = 0; h < shape.kv_heads; ++h) {
    const uint16_t* k = narrow.data() + h * dim;
    const uint16_t* v = k + cols;
    uint16_t* to_k = kv.Keys<uint16_t>(shape, block, h) + KeyIndex(kv.type, position, 0, dim);
    uint16_t* to_v = kv.Values<uint16_t>(shape, block, h) + ValueIndex(kv.type, position, 0, dim);
    for (int64_t i = 0; i < dim / 2; ++i) {
      to_k[i * k_pair] = k[2 * i];
      to_k[i * k_pair + k_odd] = k[2 * i + 1];
      to_v[i * v_pair] = v[2 * i];
      to_v[i * v_pair + v_odd] = v[2 * i + 1];
    }
  }
}

// x (dim), quantised, as a position of a piece: its elements from `at` on, `stride` apart.
void Attention::StoreCodes(const float* x, int64_t dim, int64_t position, int64_t stride,
                           int8_t* piece, int64_t at) const {
  std::vector<int8_t> codes(Index(dim));
  float* const steps = reinterpret_cast<float*>(piece + PieceElementBytes(KvType::kInt8, dim));
  int32_t sum;
  ops_.quantize(x, dim, codes.data(), steps + position, &sum);
  for (int64_t d = 0; d < dim; ++d) piece[at + d * stride] = codes[Index(d)];
}

}  // namespace tern::cpu
