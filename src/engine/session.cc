#include "engine/session.h"

#include <algorithm>

namespace tern {
namespace {

// Embeddings are padded to a round number of rows. Published models pad by at most a few hundred of
// 100,000 rows.
constexpr int64_t kPaddingShare = 16;

}  // namespace

Status CheckVocabulary(const std::string& path, size_t tokens, int64_t rows) {
  const auto count = static_cast<int64_t>(tokens);
  if (count <= rows && (rows - count) * kPaddingShare <= rows) return {};
  return Fail(Code::kCorrupt,
              "{}: the vocabulary has {} tokens, expected {}, one for each row of the embedding",
              path, count, rows);
}

Result<std::unique_ptr<Session>> Session::Open(std::unique_ptr<Backend> backend,
                                               const SessionOptions& options) {
  std::unique_ptr<Session> session(new Session);
  session->backend_ = std::move(backend);
  TERN_ASSIGN_OR_RETURN(session->source_, OpenWeights(options.model, options.source));
  if (options.need_tokenizer) {
    TERN_ASSIGN_OR_RETURN(TokenizerSpec spec,
                          ReadTokenizerSpec(*session->source_, options.tokenizer));
    TERN_ASSIGN_OR_RETURN(session->tokenizer_, Tokenizer::Create(std::move(spec)));
    TERN_ASSIGN_OR_RETURN(const ModelConfig config, ReadModelConfig(*session->source_));
    TERN_TRY(CheckVocabulary(options.model, session->tokenizer_->size(), config.vocab));
  }
  TERN_ASSIGN_OR_RETURN(session->model_,
                        LoadModel(*session->source_, *session->backend_,
                                  {.source = options.source,
                                   .cache = options.cache,
                                   .head = options.head,
                                   .progress = options.progress}));
  const ModelConfig& config = session->model_.config;
  session->activations_ = options.activations.value_or(config.trained_with);
  const int64_t context =
      options.context > 0 ? options.context : std::min(config.context, kDefaultContext);
  TERN_ASSIGN_OR_RETURN(session->decoder_,
                        Decoder::Create(session->model_, *session->backend_,
                                        {.max_rows = std::min(options.max_rows, context),
                                         .max_logit_rows = options.logit_rows,
                                         .max_positions = context,
                                         .activations = session->activations_}));
  TERN_ASSIGN_OR_RETURN(session->cache_, session->decoder_->CreateCache(1, context));
  return session;
}

}  // namespace tern
