// Metadata of a converted file, in the value types that GGUF readers of other projects insist on.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/gguf_writer.h"
#include "formats/metadata.h"
#include "tokenizer/tokenizer_spec.h"

namespace tern {

/// A type that tern writes ternary tensors in, and the number that general.file_type has for it (a
/// hint that nothing should rely on; I2_S is bitnet.cpp's).
struct TernaryTarget {
  std::string_view codec;
  uint32_t file_type;
};
std::span<const TernaryTarget> TernaryTargets();
/// By name, case-insensitive; nullptr when tern doesn't write this type.
const TernaryTarget* FindTernaryTarget(std::string_view type);
/// "i2_s, tq1_0, ...", for messages.
std::string TernaryTargetNames();

inline constexpr uint32_t kQuantizationVersion = 2;  // general.quantization_version

/// Sets every key of the source but those that describe its own bytes (general.alignment,
/// general.file_type, general.quantization_version, split.*), general.architecture first.
Status WriteMetadata(const Metadata& metadata, uint32_t file_type, GgufWriter& writer);

/// Sets the tokenizer keys. Upstream wants one token per row of the embedding: up to `rows`, unused
/// tokens named [PAD<id>] fill the list. kCorrupt when there are more tokens than rows.
Status WriteTokenizer(const TokenizerSpec& spec, int64_t rows, GgufWriter& writer,
                      std::vector<std::string>& notes);

/// The chat template for a file whose source has `found` (may be empty): Microsoft's published GGUF
/// of 2B-4T carries a placeholder that gives bad output, and is given the template of the model
/// (docs/formats.md, "Chat formats"), as is a model of its kind without one. Otherwise `found`.
std::string MendedChatTemplate(const std::string& found, const Metadata& metadata,
                               const TokenizerSpec& spec);

}  // namespace tern
