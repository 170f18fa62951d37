// Where keys and values lie in a cache of 16-bit numbers.
#pragma once

#include <cstdint>

namespace tern {

/// How keys and values are kept: as they are; as IEEE halves; or as bfloat16, rounded by
/// base/bf16.h, and then so are the queries and weights that they are multiplied with.
enum class KvType : uint8_t { kF32, kF16, kBf16 };

/// Positions of a 16-bit cache come in multiples of this.
inline constexpr int64_t kKvPositions = 32;

/// Element d of position p among a slot's keys of one kv head. kF16: (positions / 16, head_dim,
/// 16), so that one load brings an element of 16 positions. kBf16: (positions / 16, head_dim / 2,
/// 16, 2), the tiles that AMX multiplies.
inline int64_t KeyIndex(KvType type, int64_t p, int64_t d, int64_t head_dim) {
  if (type == KvType::kF16) return (p / 16 * head_dim + d) * 16 + p % 16;
  return (p / 16 * (head_dim / 2) + d / 2) * 32 + p % 16 * 2 + d % 2;
}

/// The same among the values. kF16: (positions, head_dim). kBf16: (positions / 2, head_dim, 2).
inline int64_t ValueIndex(KvType type, int64_t p, int64_t d, int64_t head_dim) {
  if (type == KvType::kF16) return p * head_dim + d;
  return p / 2 * head_dim * 2 + d * 2 + p % 2;
}

}  // namespace tern
