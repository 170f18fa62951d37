// Which byte layout a GGUF type id means. Ids were reused by forks, so for some the number of bytes
// that the tensor takes has to decide (docs/formats.md, "Ids with several meanings").
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "formats/codec.h"
#include "formats/weight_source.h"

namespace tern {

/// A tensor as its header places it.
struct GgufPlace {
  uint32_t type_id = 0;
  int64_t rows = 1;
  int64_t cols = 1;
  uint64_t room = 0;  // bytes up to the next tensor, or to the end of the file for the last one
  bool last = false;  // then padding up to the alignment may follow, or not
  uint64_t alignment = 32;  // a power of two
};

/// What the id means there.
struct GgufType {
  std::string name;
  const Codec* codec = nullptr;  // null: tern can't read it, and `refusal` says why and what to do
  std::string refusal;
  uint64_t bytes = 0;  // of the tensor, without padding
  /// Set when several meanings have the same padded size; another tensor of the file may decide
  /// between them.
  std::vector<GgufType> choices = {};
};

/// kUnsupported for ids that were removed from the format; kCorrupt for unknown ids, when the shape
/// does not suit the type, or when an id with several meanings has room for none of them (the
/// message lists the expected sizes). Known types that tern can't read are no error here.
Result<GgufType> ResolveGgufType(const GgufPlace& place, I2sLayout i2s_layout);

}  // namespace tern
