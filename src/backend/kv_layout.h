// Where keys and values lie in the blocks of a cache.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tern {

/// How keys and values are kept: as they are; as IEEE halves; or as bfloat16, rounded by
/// base/bf16.h, and then so are the queries and weights that they are multiplied with.
enum class KvType : uint8_t { kF32, kF16, kBf16 };

/// A block holds the keys and values of this many consecutive positions of a sequence: a piece of
/// keys and a piece of values for each kv head of each layer.
inline constexpr int64_t kBlockPositions = 32;

/// Number of a block in a cache.
using BlockId = int32_t;

/// Blocks that so many positions take.
inline constexpr int64_t BlocksFor(int64_t positions) {
  return (positions + kBlockPositions - 1) / kBlockPositions;
}

/// Bytes of a piece.
inline constexpr size_t PieceBytes(KvType type, int64_t head_dim) {
  return static_cast<size_t>(kBlockPositions * head_dim) *
         (type == KvType::kF32 ? sizeof(float) : sizeof(uint16_t));
}

/// Element d of position p, below kBlockPositions, in a piece of keys. kF32: (positions, head_dim).
/// kF16: (positions / 16, head_dim, 16), so that one load brings an element of 16 positions. kBf16:
/// (positions / 16, head_dim / 2, 16, 2), the tiles that AMX multiplies.
inline int64_t KeyIndex(KvType type, int64_t p, int64_t d, int64_t head_dim) {
  if (type == KvType::kF32) return p * head_dim + d;
  if (type == KvType::kF16) return (p / 16 * head_dim + d) * 16 + p % 16;
  return (p / 16 * (head_dim / 2) + d / 2) * 32 + p % 16 * 2 + d % 2;
}

/// The same in a piece of values. kF32, kF16: (positions, head_dim). kBf16: (positions / 2,
/// head_dim, 2).
inline int64_t ValueIndex(KvType type, int64_t p, int64_t d, int64_t head_dim) {
  if (type != KvType::kBf16) return p * head_dim + d;
  return p / 2 * head_dim * 2 + d * 2 + p % 2;
}

}  // namespace tern
