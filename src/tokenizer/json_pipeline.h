// The normalizer and pre_tokenizer of a tokenizer.json: what happens to text before merging.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tern {

struct JsonPipeline {
  bool byte_level = false;              // a ByteLevel pre-tokenizer
  bool replaces_spaces = false;         // by U+2581, as SentencePiece does
  bool add_space_prefix = false;        // SentencePiece
  std::vector<std::string_view> steps;  // byte-level: names of pretokenizer.h
  std::vector<std::string> notes;       // what is left out
};

/// Errors: kUnsupported, naming what tern can't do.
Result<JsonPipeline> ReadJsonPipeline(const nlohmann::json& tokenizer);

}  // namespace tern
