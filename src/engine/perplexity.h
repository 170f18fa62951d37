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

}  // namespace tern
