// A loaded model: configuration and weights in a backend's memory.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "backend/optimization.h"
#include "formats/weight_source.h"
#include "model/model_config.h"
#include "model/weight_cache.h"

namespace tern {

/// Matrices with the same input and the same groups of scales; their outputs stand side by side.
struct MatrixParts {
  std::vector<std::unique_ptr<PackedTernary>> matrices;

  int64_t cols() const { return matrices[0]->cols(); }
  int64_t group() const { return matrices[0]->group(); }
};

/// Gains are (dim) unless said otherwise; an empty buffer means the model has none.
struct LayerWeights {
  Buffer attn_norm, attn_sub_norm;      // attn_sub_norm: (heads * head_dim)
  Buffer q_norm, k_norm;                // (head_dim)
  Buffer ffn_norm, ffn_sub_norm;        // ffn_sub_norm: (ffn)
  MatrixParts qkv;                      // (heads * head_dim + 2 * kv_heads * head_dim, dim)
  std::unique_ptr<PackedTernary> o;     // (dim, heads * head_dim)
  MatrixParts gate_up;                  // (2 * ffn, dim)
  std::unique_ptr<PackedTernary> down;  // (dim, ffn)

  /// All of them.
  std::vector<const PackedTernary*> Matrices() const;
};

struct Model {
  ModelConfig config;
  std::vector<LayerWeights> layers;
  std::unique_ptr<TokenTable> embedding;  // (vocab, dim)
  std::unique_ptr<TokenTable> head;       // (vocab, dim); null when it is the embedding
  Buffer output_norm;                     // (dim)
  CacheReport cache;                      // how the packed weights came here

  const TokenTable& Head() const { return head ? *head : *embedding; }
  /// Bytes of all weights in the backend's memory.
  size_t WeightBytes() const;
};

/// Called with (layers done, layers in all).
using LoadProgress = std::function<void(int64_t, int64_t)>;

struct LoadOptions {
  SourceOptions source = {};  // with which the source was opened
  CacheOptions cache = {};
  /// Below kAggressive, query, key and value, and gate and up, stay matrices of their own.
  OptimizationLevel level = OptimizationLevel::kAggressive;
  TableForm head = TableForm::kNative;  // the embedding is always native
  LoadProgress progress = {};
};

/// Reads, checks and packs every weight, tensor by tensor, or maps those that an earlier load has
/// packed. Errors name the file and tensor, the shape or type found and the one expected.
Result<Model> LoadModel(const WeightSource& source, Backend& backend,
                        const LoadOptions& options = {});

/// About what the packed matrices of a model take: 2 bits a weight.
uint64_t PackedBytes(const ModelConfig& config);

/// A tensor that LoadModel will ask for.
struct ExpectedTensor {
  std::string name;
  int64_t rows, cols;  // vectors: rows = 1
  bool ternary;
  bool optional;
};

/// Everything a model of this configuration consists of, in file order. For loading, checking and
/// `tern info`.
std::vector<ExpectedTensor> ExpectedTensors(const ModelConfig& config);

/// Looks for everything that would keep LoadModel from working, without reading weights.
Status CheckTensors(const WeightSource& source, const ModelConfig& config);

}  // namespace tern
