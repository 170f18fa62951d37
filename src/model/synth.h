// Models of a published shape with random weights: what speed depends on, without a download.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/convert.h"
#include "tensor/dense_matrix.h"

namespace tern {

struct SynthShape {
  std::string_view preset;        // as users write it: "2b4t"
  std::string_view architecture;  // general.architecture
  int64_t layers;
  int64_t dim;
  int64_t ffn;
  int64_t heads;
  int64_t kv_heads;
  int64_t vocab;
  int64_t context;
  double rope_base;
  bool tied;  // the embedding is the output head too
};

/// 125m, 350m, 700m, 2b4t, 3b, 8b, 13b, 30b; where each is published stands at its row.
std::span<const SynthShape> SynthPresets();
/// nullptr when there is none of this name.
const SynthShape* FindSynthPreset(std::string_view name);

struct SynthOptions {
  std::string type = "i2_s";      // of the ternary tensors: i2_s, tq1_0, tq2_0 or q2_0
  DType embedding = DType::kF16;  // of token_embd and output: what EncodeRow writes
  uint64_t seed = 1;
};

/// Writes a GGUF file that tern and the engines of the llama.cpp family load: every tensor and key
/// of the architecture and a complete byte-level BPE vocabulary of the pre-tokenizer "llama-bpe".
/// Weights are -1, 0 and +1 alike often, drawn in runs of 256 from a pool of 4096 (which makes a
/// gigabyte take seconds); the scales keep the variance of activations near 1. The same shape,
/// options and seed give the same bytes. Memory: a few megabytes and the vocabulary. Returns the
/// file's size. Errors: kInvalidArgument for a type that can't be written or can't hold the shape;
/// failures of writing.
Result<uint64_t> Synthesize(const SynthShape& shape, const SynthOptions& options,
                            const std::string& out, const ConvertProgress& progress);

}  // namespace tern
