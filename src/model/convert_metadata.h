// Metadata of a converted file, in the value types that GGUF readers of other projects insist on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "formats/gguf_writer.h"
#include "formats/metadata.h"
#include "tokenizer/tokenizer_spec.h"

namespace tern {

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
