#include "engine/session.h"

#include <algorithm>

#include "engine/device_fit.h"

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

// Tells a backend with memory of its own which layers to keep there. Returns how many it doesn't.
Result<int64_t> PlaceLayers(const WeightSource& source, const ModelConfig& config, Backend& backend,
                            const DecoderOptions& decoder, const SessionOptions& options) {
  const std::optional<uint64_t> free = backend.free_memory();
  if (!free) return 0;
  uint64_t memory = *free - std::min(*free, kDeviceOverhead);
  if (options.memory_budget > 0) memory = std::min(memory, options.memory_budget);
  const int64_t positions = options.kv_positions > 0 ? options.kv_positions : decoder.max_positions;
  TERN_ASSIGN_OR_RETURN(const DeviceNeeds needs,
                        NeedsOf(source, config, decoder, options.head, positions));
  const auto keep = PlanLayers(needs, memory, options.gpu_layers);
  if (!keep) return Within(options.model, keep.error());
  if (*keep < needs.layers) TERN_TRY(backend.KeepLayers(*keep, needs.layers));
  return needs.layers - *keep;
}

// Of the weights, in the backend's memory.
uint64_t ResidentBytes(const Model& model, int64_t streamed) {
  uint64_t layer = 0;
  for (const PackedTernary* matrix : model.layers[0].Matrices()) layer += matrix->bytes();
  const int64_t away = std::max<int64_t>(streamed - kLayerBuffers, 0);
  return model.WeightBytes() - static_cast<uint64_t>(away) * layer;
}

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
  }
  TERN_ASSIGN_OR_RETURN(const ModelConfig config, ReadModelConfig(*session->source_));
  if (options.need_tokenizer)
    TERN_TRY(CheckVocabulary(options.model, session->tokenizer_->size(), config.vocab));
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
  TERN_ASSIGN_OR_RETURN(const int64_t streamed, PlaceLayers(*session->source_, config,
                                                            *session->backend_, decoder, options));
  TERN_ASSIGN_OR_RETURN(session->model_, LoadModel(*session->source_, *session->backend_,
                                                   {.source = options.source,
                                                    .cache = options.cache,
                                                    .level = options.level,
                                                    .head = options.head,
                                                    .progress = options.progress}));
  session->plan_ = MakePlan(session->model_, *session->backend_, decoder);
  session->plan_.streamed_layers = streamed;
  TERN_ASSIGN_OR_RETURN(session->decoder_,
                        Decoder::Create(session->model_, *session->backend_, decoder));
  const KvShape block = session->decoder_->CacheShape(1);
  TERN_ASSIGN_OR_RETURN(
      const int64_t blocks,
      PlanKvBlocks(
          {.weights = ResidentBytes(session->model_, streamed),
           .buffers = session->decoder_->buffer_bytes(),
           .block = block.bytes(),
           .context = context,
           .sequences = options.sequences},
          {.budget = options.memory_budget,
           .kv_positions = options.kv_positions,
           .free_memory = session->backend_->free_memory().value_or(options.free_memory)}));
  TERN_ASSIGN_OR_RETURN(session->cache_, session->decoder_->CreateCache(blocks));
  return session;
}

}  // namespace tern
