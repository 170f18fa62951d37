// How well a model predicts a text.
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "model/executor.h"
#include "tokenizer/tokenizer.h"

namespace tern {

struct PerplexityOptions {
  int64_t window =
      512;  // tokens a window holds; every target is predicted once, from its window alone
};

struct PerplexityResult {
  int64_t tokens = 0;  // targets predicted, the separators between documents among them
  int64_t bytes = 0;   // of the documents' text
  double nats = 0;     // sum of -ln p(target)

  double Perplexity() const;
  double BitsPerByte() const;
};

/// Called with (tokens done, tokens in all, result so far); returning false stops early.
using PerplexityProgress = std::function<bool(int64_t, int64_t, const PerplexityResult&)>;

/// The token stream of a text: documents are separated by lines that hold nothing but the EOS
/// token's spelling, stripped of white space at their ends, and joined by EOS, with BOS (EOS where
/// there is none) in front. A text without such lines is one document, unstripped.
struct DocumentStream {
  std::vector<TokenId> ids;
  int64_t bytes = 0;
};
DocumentStream ReadDocuments(std::string_view text, const Tokenizer& tokenizer);

/// Window i has inputs ids[w*i .. w*i+w-1] and targets one further. Errors: kInvalidArgument for
/// fewer than two tokens.
Result<PerplexityResult> MeasurePerplexity(Executor& executor, KvCache& cache,
                                           const DocumentStream& stream,
                                           const PerplexityOptions& options,
                                           const PerplexityProgress& progress);

/// How far a model is from another one, the base, over the same predictions.
struct DivergenceResult {
  PerplexityResult base, model;
  double kl = 0;          // sum over targets of sum_i p_i ln(p_i / q_i), p the base's distribution
  double largest_kl = 0;  // of a single target
  int64_t same_top = 0;   // targets whose most likely token (the first of equals) is the same

  double MeanKl() const;
  double SameTopShare() const;
};

using DivergenceProgress = std::function<bool(int64_t, int64_t, const DivergenceResult&)>;

/// What a model runs with.
struct Runner {
  Executor& executor;
  KvCache& cache;
};

/// Both models over the windows of MeasurePerplexity. Errors: as there, and kInvalidArgument for
/// vocabularies of different size.
Result<DivergenceResult> MeasureDivergence(const Runner& base, const Runner& model,
                                           const DocumentStream& stream,
                                           const PerplexityOptions& options,
                                           const DivergenceProgress& progress);

}  // namespace tern
