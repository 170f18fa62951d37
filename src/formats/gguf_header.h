// The container part of GGUF: everything before the tensor data, as structure without meaning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "formats/metadata.h"

namespace tern {

inline constexpr uint64_t kGgufDefaultAlignment = 32;
inline constexpr size_t kGgufMaxNameBytes = 63;  // upstream keeps names in 64 bytes with a final 0
inline constexpr uint32_t kGgufMaxDims = 4;

/// A tensor as the header describes it; type and size are not judged yet.
struct GgufTensor {
  std::string name;
  std::vector<int64_t> dims;  // ne0 (cols) first, none for a scalar; each at least 1
  uint32_t type_id = 0;
  uint64_t offset = 0;  // from the data offset; a multiple of the alignment

  int64_t cols() const { return dims.empty() ? 1 : dims[0]; }
  /// Product of all other dimensions; cols() * rows() fits an int64.
  int64_t rows() const;
};

struct GgufHeader {
  uint32_t version = 0;
  uint64_t alignment = kGgufDefaultAlignment;
  uint64_t data_offset = 0;  // from the beginning of the file; may lie behind its end
  Metadata metadata;
  std::vector<GgufTensor> tensors;
};

/// True when the bytes begin with "GGUF".
bool HasGgufMagic(std::span<const std::byte> file);

/// Parses versions 2 and 3. kCorrupt for anything that contradicts the format (docs/formats.md
/// lists the rules), kUnsupported for version 1, later versions and big-endian files. Counts are
/// checked against the bytes that are left before anything is reserved. Messages lack the file's
/// name.
Result<GgufHeader> ParseGgufHeader(std::span<const std::byte> file);

}  // namespace tern
