// The Q6_K block: 256 values of 6 bits in 16 sub-blocks of 16, each with a signed 8-bit multiple of
// one binary16 scale.
#pragma once

#include <cstddef>
#include <span>

#include "base/result.h"

namespace tern {

inline constexpr size_t kQ6KElems = 256;
inline constexpr size_t kQ6KBytes =
    210;  // low nibbles (128), high bit pairs (64), i8 scales (16), binary16 d

/// Decodes one block to kQ6KElems values.
void DecodeQ6KBlock(const std::byte* block, float* out);

/// Encodes one block byte-identically to upstream ggml's reference quantiser.
/// kInvalidArgument for values that are not finite or too large for a binary16 scale.
Status EncodeQ6KBlock(std::span<const float, kQ6KElems> in, std::byte* block);

}  // namespace tern
