// The decoder of every architecture tern runs: embedding, layers, head, strung together from a
// backend's operations.
#pragma once

#include <memory>

#include "model/executor.h"
#include "model/model.h"

namespace tern {

struct DecoderOptions {
  int64_t max_rows = 512;        // rows of one forward pass; longer prompts come in chunks
  int64_t max_logit_rows = 512;  // rows that may ask for logits
  int64_t max_positions = 0;     // 0: the model's context
  ActivationType activations = ActivationType::kInt8;
  KvType kv = KvType::kF16;
  /// Below kAggressive, norms and quantisation are operations of their own.
  OptimizationLevel level = OptimizationLevel::kAggressive;
};

class Decoder final : public Executor {
 public:
  /// The model and the backend must outlive the decoder. Errors: kResourceExhausted.
  static Result<std::unique_ptr<Decoder>> Create(const Model& model, Backend& backend,
                                                 const DecoderOptions& options);

  int64_t max_rows() const override { return options_.max_rows; }
  Result<FloatView> Forward(const Batch& batch, KvCache& cache) override;
  RankedLogits Top(int64_t row) const override;
  Result<std::span<const float>> AllLogits(int64_t row) override;

  /// The shape of a cache of so many blocks for this model.
  KvShape CacheShape(int64_t blocks) const;
  Result<KvCache> CreateCache(int64_t blocks) { return KvCache::Create(be_, CacheShape(blocks)); }
  /// Memory of the activations.
  size_t buffer_bytes() const { return buffer_bytes_; }

 private:
  Decoder(const Model& model, Backend& backend, const DecoderOptions& options);

  Status AllocateBuffers();
  Status CheckBatch(const Batch& batch, const KvCache& cache) const;
  void Layer(const LayerWeights& w, const StepInfo& step, const KvLayer& kv, int64_t rows);
  /// What the pass does for this wish: only backends that rank logits leave them where they are.
  PassOutput OutputOf(const Batch& batch) const;
  Status FetchTop(int64_t rows);
  void RunOps(const Batch& batch, const StepInfo& step, KvCache& cache);
  void Normalize(FloatView x, const Buffer& gain, const LinearInput& out);
  void NormLinear(FloatView x, const Buffer& gain, const MatrixParts& parts, FloatView y);
  void NormLinear(FloatView x, const Buffer& gain, const PackedTernary& w, FloatView y,
                  Epilogue epilogue);
  /// Whether norms stay operations of their own.
  bool NormsApart() const { return options_.level != OptimizationLevel::kAggressive; }
  FloatView Rows(const Buffer& buffer, int64_t rows, int64_t cols) const;
  LinearInput Input(int64_t cols, int64_t group, int64_t rows) const;

  const Model& model_;
  const ModelConfig& cfg_;
  Backend& be_;
  DecoderOptions options_;
  size_t buffer_bytes_ = 0;
  // Buffers of max_rows rows, named as the papers name what they hold:
  Buffer x_;                       // (rows, dim) residual stream
  Buffer qkv_;                     // (rows, (heads + 2 kv_heads) * head_dim)
  Buffer att_;                     // (rows, heads * head_dim)
  Buffer gate_up_;                 // (rows, 2 * ffn)
  Buffer h_;                       // (rows, ffn)
  Buffer in_q_;                    // (rows, widest input, padded) int8
  Buffer in_step_;                 // (rows, groups of the widest input)
  Buffer in_sums_;                 // (rows, groups of the widest input) int32
  Buffer in_values_;               // (rows, widest input, padded) float activations
  Buffer normed_;                  // (rows, widest input), when norms are apart
  Buffer final_;                   // (logit rows, dim)
  Buffer logits_;                  // (logit rows, vocab)
  Buffer top_;                     // (2, logit rows, kTopLogits) best logits, then their ids
  Buffer rope_;                    // (positions, rope dims)
  std::vector<float> top_logits_;  // of the last pass, on the host: (logit rows, kTopLogits)
  std::vector<TokenId> top_ids_;
  std::vector<int32_t> all_rows_;  // 0, 1, ..
};

}  // namespace tern
