// Where keys and values lie in the blocks of a cache.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tern {

/// How keys and values are kept: as they are; as IEEE halves; as bfloat16, rounded by base/bf16.h,
/// and then so are the queries and weights that they are multiplied with; or as int8, each
/// position's head_dim elements quantised as a linear input is (LinearInput, one group), with a
/// step of their own.
enum class KvType : uint8_t { kF32, kF16, kBf16, kInt8 };

/// Up to this many elements an int8 dot product is exact in float, whatever its order: 2^24 /
/// 128^2.
inline constexpr int64_t kMaxInt8HeadDim = 1024;

/// A block holds the keys and values of this many consecutive positions of a sequence: a piece of
/// keys and a piece of values for each kv head of each layer.
inline constexpr int64_t kBlockPositions = 32;

/// Number of a block in a cache.
using BlockId = int32_t;

/// Blocks that so many positions take.
inline constexpr int64_t BlocksFor(int64_t positions) {
  return (positions + kBlockPositions - 1) / kBlockPositions;
}

/// Bytes of the elements in a piece.
inline constexpr size_t PieceElementBytes(KvType type, int64_t head_dim) {
  return static_cast<size_t>(kBlockPositions * head_dim) * (type == KvType::kF32 ? sizeof(float)
                                                            : type == KvType::kInt8
                                                                ? sizeof(int8_t)
                                                                : sizeof(uint16_t));
}

/// Bytes of a piece. kInt8: the positions' steps, floats, stand behind the elements.
inline constexpr size_t PieceBytes(KvType type, int64_t head_dim) {
  return PieceElementBytes(type, head_dim) +
         (type == KvType::kInt8 ? static_cast<size_t>(kBlockPositions) * sizeof(float) : 0);
}

/// Element d of position p, below kBlockPositions, in a piece of keys. kF32: (positions, head_dim).
/// kF16, kInt8: (positions / 16, head_dim, 16), so that one load brings an element of 16 positions.
/// kBf16: (positions / 16, head_dim / 2, 16, 2), the tiles that AMX multiplies.
inline int64_t KeyIndex(KvType type, int64_t p, int64_t d, int64_t head_dim) {
  if (type == KvType::kF32) return p * head_dim + d;
  if (type != KvType::kBf16) return (p / 16 * head_dim + d) * 16 + p % 16;
  return (p / 16 * (head_dim / 2) + d / 2) * 32 + p % 16 * 2 + d % 2;
}

/// The same in a piece of values. kF32, kF16, kInt8: (positions, head_dim). kBf16: (positions / 2,
/// head_dim, 2).
inline int64_t ValueIndex(KvType type, int64_t p, int64_t d, int64_t head_dim) {
  if (type != KvType::kBf16) return p * head_dim + d;
  return p / 2 * head_dim * 2 + d * 2 + p % 2;
}

}  // namespace tern
