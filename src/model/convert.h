// Writes opened weights as a GGUF file: a Hugging Face folder made portable, or a GGUF file in
// another type.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/weight_source.h"
#include "tensor/dense_matrix.h"
#include "tokenizer/tokenizer_spec.h"

namespace tern {

struct ConvertOptions {
  /// Type of the ternary tensors: "i2_s", "tq1_0", "tq2_0" or "q2_0". Empty: i2_s when the scales
  /// are per tensor, as in BitNet models, else q2_0.
  std::string type = {};
  /// Type of token_embd and output: F32, F16, BF16, Q8_0 or Q6_K. Absent: the type of the source.
  std::optional<DType> embedding = {};
  /// general.name. Empty: that of the source (of a folder, its own name).
  std::string name = {};
};

/// What was written, for the user.
struct ConvertSummary {
  struct Kind {
    std::string type;  // as listings show it: "I2_S"
    int64_t tensors = 0;
    uint64_t bytes = 0;
  };
  std::string type;         // the one chosen for ternary tensors
  std::vector<Kind> kinds;  // in order of first appearance
  uint64_t file_bytes = 0;
  /// Largest |stored - exact| / |exact| of a ternary scale, and where; 0 when every scale was kept
  /// exactly. I2_S keeps float32; the other types keep binary16.
  double max_scale_error = 0;
  std::string worst_tensor;
  std::vector<std::string> notes;  // what was added, mended or left out
};

/// Called after each tensor with (tensors done, tensors in all, name).
using ConvertProgress = std::function<void(int64_t, int64_t, std::string_view)>;

/// Converts tensor by tensor; memory holds one tensor. `tokenizer` may be null: then the tokenizer
/// keys of the source are copied, if it has any. Vectors (norms) become F32, tables the type of the
/// options, ternary tensors the type of the options; everything else stays as it is. Metadata gets
/// upstream's value types. `out` appears only when it is complete. Thread rule: one thread. Errors:
/// what ReadModelConfig and CheckTensors find wrong with the source; kInvalidArgument for a type
/// that can't be written, or a shape it can't hold (the message names the tensor and the types that
/// can); kUnsupported when the scales don't fit the type; kCorrupt for a tokenizer larger than the
/// embedding; failures of reading and writing.
Result<ConvertSummary> Convert(const WeightSource& source, const TokenizerSpec* tokenizer,
                               const ConvertOptions& options, const std::string& out,
                               const ConvertProgress& progress);

}  // namespace tern
