// A model ready to answer: source, backend, weights, tokenizer, decoder and cache in one owner.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/generator.h"
#include "formats/weight_source.h"
#include "model/decoder.h"
#include "model/model.h"
#include "model/plan.h"
#include "model/tokenizer_source.h"

namespace tern {

inline constexpr int64_t kDefaultContext = 4096;

struct SessionOptions {
  /// The fastest answers, for the memory that it takes: long passes, weights in huge pages.
  static SessionOptions OptimizedForSpeed(std::string model);
  /// The least memory of this process: weights stay in the cache file, which other processes share
  /// (cache.folder has to name one), short passes, a context of at most 2048
  /// in halves.
  static SessionOptions OptimizedForMemory(std::string model);

  std::string model;  // a GGUF file or a Hugging Face folder
  SourceOptions source = {};
  TokenizerSourceOptions tokenizer = {};
  bool need_tokenizer = true;  // false: a model without vocabulary will do (tern logits)
  std::optional<ActivationType> activations = {};  // absent: what the model was trained with
  std::optional<KvType> kv = {};  // absent: halves, or floats for float activations
  TableForm head = TableForm::kNative;
  int64_t context = 0;  // positions of the cache; 0: the model's context, at most default_context
  int64_t default_context = kDefaultContext;
  int64_t max_rows = 0;        // of one forward pass; 0: what the backend likes
  int64_t logit_rows = 1;      // of them that can have logits; perplexity wants all
  int64_t sequences = 1;       // that the cache should hold at once (engine)
  int64_t kv_positions = 0;    // of the cache; 0: those of all sequences, or what memory allows
  uint64_t memory_budget = 0;  // bytes of weights, buffers and cache; 0: no bound
  /// Layers whose weights stay in the memory of a device with its own; the others come from the
  /// host in every pass. The results are the same bits. Absent: as many as fit.
  std::optional<int64_t> gpu_layers = {};
  /// Of the machine: where nothing else bounds it, the cache of several sequences takes half at
  /// most. 0: not known.
  uint64_t free_memory = 0;
  CacheOptions cache = {};
  /// The backend should have been made for the same level.
  OptimizationLevel level = OptimizationLevel::kAggressive;
  LoadProgress progress = {};
};

/// Thread rule: one caller at a time.
class Session {
 public:
  /// The backend comes from the application. Errors: everything a file can be wrong in, each naming
  /// the file.
  static Result<std::unique_ptr<Session>> Open(std::unique_ptr<Backend> backend,
                                               const SessionOptions& options);

  const WeightSource& source() const { return *source_; }
  const Model& model() const { return model_; }
  Backend& backend() { return *backend_; }
  Decoder& decoder() { return *decoder_; }
  /// For the generator, of one sequence: blocks 0, 1, .. in order (IdentityTable).
  KvCache& cache() { return *cache_; }
  /// Positions that a sequence can have.
  int64_t context() const { return plan_.positions; }
  /// nullptr when the model has none.
  const Tokenizer* tokenizer() const { return tokenizer_.get(); }
  ActivationType activations() const { return activations_; }
  const ExecutionPlan& plan() const { return plan_; }

  /// Needs a tokenizer.
  Generator NewGenerator() {
    return Generator(*decoder_, *cache_, *tokenizer_, model_.config.vocab, context());
  }

 private:
  Session() = default;

  // In the order of their dependence; destroyed in reverse.
  std::unique_ptr<WeightSource> source_;
  std::unique_ptr<Backend> backend_;
  Model model_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<Decoder> decoder_;
  std::optional<KvCache> cache_;
  ActivationType activations_ = ActivationType::kInt8;
  ExecutionPlan plan_;
};

/// kCorrupt when a vocabulary can't belong to an embedding with this many rows: more tokens than
/// rows, or more rows without a token than padding explains.
Status CheckVocabulary(const std::string& path, size_t tokens, int64_t rows);

}  // namespace tern
