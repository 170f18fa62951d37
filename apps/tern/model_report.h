// What can be found out about a model without loading it, for `tern info`.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/model_config.h"
#include "model_options.h"

namespace tern::cli {

/// All tensors of one type.
struct TypeReport {
  std::string type;
  bool ternary = false;
  uint64_t tensors = 0;
  uint64_t values = 0;
  uint64_t bytes = 0;
  std::string scales = {};  // ternary types: how they are shared, seen in the first tensor

  double BitsPerWeight() const;
};

struct TokenizerReport {
  std::string kind;  // "byte-level BPE", "SentencePiece BPE"
  std::string pre;
  uint64_t tokens = 0;
  std::optional<TokenId> bos, eos, eot;
  bool add_bos = false;
  std::string chat;
  std::string note;
};

struct MemoryReport {
  uint64_t weights = 0;   // ternary weights at 2 bits, the others as in the file
  uint64_t kv_cache = 0;  // for `context` positions
  int64_t context = 0;
};

struct ModelReport {
  std::string path;
  std::string format;
  uint64_t file_bytes = 0;
  std::string architecture;  // as the file names it; empty when it doesn't
  std::string name;
  std::optional<ModelConfig> config;  // when tern understands it
  std::vector<TypeReport> types;      // most values first
  std::vector<TensorInfo> tensors;
  std::optional<TokenizerReport> tokenizer;
  std::optional<MemoryReport> memory;
  std::string obstacle;  // why tern can't run it; empty: it can
};

/// Errors: only when nothing can be said about the file; what keeps it from running is part of the
/// report.
Result<ModelReport> ReportModel(const ModelOptions& options);

nlohmann::ordered_json ToJson(const ModelReport& report, bool with_tensors);

}  // namespace tern::cli
