#include "engine/session.h"

#include <algorithm>

#include "engine/memory_budget.h"

namespace tern {
namespace {

// Embeddings are padded to a round number of rows. Published models pad by at most a few hundred of
// 100,000 rows.
constexpr int64_t kPaddingShare = 16;

// Float activations ask for the specification without rounding.
KvType DefaultKv(ActivationType activations) {
  return activations == ActivationType::kFloat ? KvType::kF32 : KvType::kF16;
}

// OptimizedForMemory.
constexpr int64_t kSmallContext = 2048, kShortPass = 32;

}  // namespace

Status CheckVocabulary(const std::string& path, size_t tokens, int64_t rows) {
  const auto count = static_cast<int64_t>(tokens);
  if (count <= rows && (rows - count) * kPaddingShare <= rows) return {};
  return Fail(Code::kCorrupt,
              "{}: the vocabulary has {} tokens, expected {}, one for each row of the embedding",
              path, count, rows);
}

SessionOptions SessionOptions::OptimizedForSpeed(std::string model) {
  SessionOptions options;
  options.model = std::move(model);
  options.cache.copy = true;
  return options;
}

SessionOptions SessionOptions::OptimizedForMemory(std::string model) {
  SessionOptions options;
  options.model = std::move(model);
  options.default_context = kSmallContext;
  options.max_rows = kShortPass;
  options.kv = KvType::kF16;
  options.cache.min_bytes = 0;
  return options;
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
  TERN_ASSIGN_OR_RETURN(session->model_, LoadModel(*session->source_, *session->backend_,
                                                   {.source = options.source,
                                                    .cache = options.cache,
                                                    .level = options.level,
                                                    .head = options.head,
                                                    .progress = options.progress}));
  const ModelConfig& config = session->model_.config;
  session->activations_ = options.activations.value_or(config.trained_with);
  const int64_t context =
      options.context > 0 ? options.context : std::min(config.context, options.default_context);
  const int64_t rows = options.max_rows > 0 ? options.max_rows : session->backend_->pass_rows();
  const DecoderOptions decoder{.max_rows = std::min(rows, context * options.sequences),
                               .max_logit_rows = options.logit_rows,
                               .max_positions = context,
                               .activations = session->activations_,
                               .kv = options.kv.value_or(DefaultKv(session->activations_)),
                               .level = options.level};
  session->plan_ = MakePlan(session->model_, *session->backend_, decoder);
  TERN_ASSIGN_OR_RETURN(session->decoder_,
                        Decoder::Create(session->model_, *session->backend_, decoder));
  const KvShape block = session->decoder_->CacheShape(1);
  TERN_ASSIGN_OR_RETURN(const int64_t blocks,
                        PlanKvBlocks({.weights = session->model_.WeightBytes(),
                                      .buffers = session->decoder_->buffer_bytes(),
                                      .block = block.bytes(),
                                      .context = context,
                                      .sequences = options.sequences},
                                     {.budget = options.memory_budget,
                                      .kv_positions = options.kv_positions,
                                      .free_memory = session->backend_->free_memory().value_or(
                                          options.free_memory)}));
  TERN_ASSIGN_OR_RETURN(session->cache_, session->decoder_->CreateCache(blocks));
  return session;
}

}  // namespace tern
