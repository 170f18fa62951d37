// A model ready to answer: source, backend, weights, tokenizer, decoder and cache in one owner.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/generator.h"
#include "formats/weight_source.h"
#include "model/decoder.h"
#include "model/model.h"
#include "model/tokenizer_source.h"

namespace tern {

struct SessionOptions {
  std::string model;  // a GGUF file or a Hugging Face folder
  SourceOptions source = {};
  TokenizerSourceOptions tokenizer = {};
  bool need_tokenizer = true;  // false: a model without vocabulary will do (tern logits)
  std::optional<ActivationType> activations = {};  // absent: what the model was trained with
  TableForm head = TableForm::kNative;
  int64_t context = 0;  // positions of the cache; 0: the model's context, at most kDefaultContext
  int64_t max_rows = 512;  // of one forward pass
  int64_t logit_rows = 1;  // of them that can have logits; perplexity wants all
  CacheOptions cache = {};
  LoadProgress progress = {};
};

inline constexpr int64_t kDefaultContext = 4096;

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
  KvCache& cache() { return *cache_; }
  /// nullptr when the model has none.
  const Tokenizer* tokenizer() const { return tokenizer_.get(); }
  ActivationType activations() const { return activations_; }

  /// Needs a tokenizer.
  Generator NewGenerator() {
    return Generator(*decoder_, *cache_, *tokenizer_, model_.config.vocab);
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
};

/// kCorrupt when a vocabulary can't belong to an embedding with this many rows: more tokens than
/// rows, or more rows without a token than padding explains.
Status CheckVocabulary(const std::string& path, size_t tokens, int64_t rows);

}  // namespace tern
