#include "model/decoder.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/math.h"

namespace tern {
namespace {

size_t FloatBytes(int64_t rows, int64_t cols) {
  return static_cast<size_t>(rows * cols) * sizeof(float);
}

// Groups of the widest input at the finest group of any layer.
int64_t FinestGroup(const Model& model) {
  int64_t finest = model.config.ffn;
  for (const LayerWeights& w : model.layers)
    for (const PackedTernary* m : w.Matrices()) finest = std::min(finest, m->group());
  return finest;
}

Status CheckTables(std::span<const std::span<const BlockId>> tables, int64_t blocks) {
  for (const auto& table : tables)
    for (const BlockId block : table)
      if (block < 0 || block >= blocks)
        return Fail(Code::kInvalidArgument, "block {} of a KV cache of {}", block, blocks);
  return {};
}

}  // namespace

Decoder::Decoder(const Model& model, Backend& backend, const DecoderOptions& options)
    : model_(model), cfg_(model.config), be_(backend), options_(options) {}

Result<std::unique_ptr<Decoder>> Decoder::Create(const Model& model, Backend& backend,
                                                 const DecoderOptions& options) {
  std::unique_ptr<Decoder> decoder(new Decoder(model, backend, options));
  if (decoder->options_.max_positions <= 0) decoder->options_.max_positions = model.config.context;
  TERN_TRY(decoder->AllocateBuffers());
  return decoder;
}

Status Decoder::AllocateBuffers() {
  const int64_t rows = options_.max_rows, logit_rows = std::min(options_.max_logit_rows, rows);
  const int64_t widest = InputStride(std::max({cfg_.dim, cfg_.heads.q_cols(), cfg_.ffn}));
  const bool norms_apart = NormsApart();
  const int64_t groups = widest / FinestGroup(model_) + 1;
  const struct {
    Buffer* buffer;
    size_t bytes;
  } wanted[] = {
      {&x_, FloatBytes(rows, cfg_.dim)},
      {&qkv_, FloatBytes(rows, cfg_.heads.qkv_cols())},
      {&att_, FloatBytes(rows, cfg_.heads.q_cols())},
      {&gate_up_, FloatBytes(rows, 2 * cfg_.ffn)},
      {&h_, FloatBytes(rows, cfg_.ffn)},
      {&in_q_, static_cast<size_t>(rows * widest)},
      {&in_step_, FloatBytes(rows, groups)},
      {&in_sums_, FloatBytes(rows, groups)},
      {&in_values_, options_.activations == ActivationType::kFloat ? FloatBytes(rows, widest) : 0},
      {&normed_, norms_apart ? FloatBytes(rows, widest) : 0},
      {&final_, FloatBytes(logit_rows, cfg_.dim)},
      {&logits_, FloatBytes(logit_rows, cfg_.vocab)},
      {&top_, be_.ranks_logits() ? 2 * FloatBytes(logit_rows, kTopLogits) : 0},
  };
  for (const auto& w : wanted) {
    TERN_ASSIGN_OR_RETURN(*w.buffer, be_.Allocate(w.bytes));
    buffer_bytes_ += w.bytes;
  }
  all_rows_.resize(norms_apart ? static_cast<size_t>(rows) : 0);
  std::iota(all_rows_.begin(), all_rows_.end(), 0);
  TERN_ASSIGN_OR_RETURN(rope_, be_.Upload(RopeTable(cfg_.rope, options_.max_positions)));
  return {};
}

KvShape Decoder::CacheShape(int64_t blocks) const {
  return {cfg_.layers, blocks, cfg_.heads.kv_heads, cfg_.heads.head_dim, options_.kv};
}

FloatView Decoder::Rows(const Buffer& buffer, int64_t rows, int64_t cols) const {
  return {buffer.as<float>(), rows, cols};
}

LinearInput Decoder::Input(int64_t cols, int64_t group, int64_t rows) const {
  return {.type = options_.activations,
          .rows = rows,
          .cols = cols,
          .group = group,
          .stride = InputStride(cols),
          .q = in_q_.as<int8_t>(),
          .step = in_step_.as<float>(),
          .sums = in_sums_.as<int32_t>(),
          .values = in_values_.as<float>()};
}

void Decoder::Normalize(FloatView x, const Buffer& gain, const LinearInput& out) {
  if (!NormsApart() || gain.empty()) {
    be_.NormQuantize(x, gain.as<float>(), cfg_.eps, out);
    return;
  }
  const FloatView normed = Rows(normed_, x.rows, x.cols);
  be_.NormRows(x, std::span(all_rows_).first(static_cast<size_t>(x.rows)), gain.as<float>(),
               cfg_.eps, normed);
  be_.NormQuantize(normed, nullptr, cfg_.eps, out);
}

void Decoder::NormLinear(FloatView x, const Buffer& gain, const PackedTernary& w, FloatView y,
                         Epilogue epilogue) {
  const LinearInput in = Input(w.cols(), w.group(), x.rows);
  if (!NormsApart()) return be_.NormLinear(x, gain.as<float>(), cfg_.eps, in, w, y, epilogue);
  Normalize(x, gain, in);
  be_.Linear(in, w, y, epilogue);
}

void Decoder::NormLinear(FloatView x, const Buffer& gain, const MatrixParts& parts, FloatView y) {
  if (parts.matrices.size() == 1)
    return NormLinear(x, gain, *parts.matrices[0], y, Epilogue::kStore);
  const LinearInput in = Input(parts.cols(), parts.group(), x.rows);
  Normalize(x, gain, in);
  int64_t at = 0;
  for (const auto& matrix : parts.matrices) {
    be_.Linear(in, *matrix, y.Columns(at, matrix->rows()), Epilogue::kStore);
    at += matrix->rows();
  }
}

Status Decoder::CheckBatch(const Batch& batch, const KvCache& cache) const {
  const size_t rows = batch.tokens.size();
  if (rows == 0 || static_cast<int64_t>(rows) > options_.max_rows)
    return Fail(Code::kInvalidArgument, "batch of {} rows, expected 1 to {}", rows,
                options_.max_rows);
  if (batch.positions.size() != rows || batch.sequences.size() != rows)
    return Fail(Code::kInvalidArgument, "batch of {} tokens with {} positions and {} sequences",
                rows, batch.positions.size(), batch.sequences.size());
  TERN_TRY(CheckTables(batch.tables, cache.shape().blocks));
  for (size_t r = 0; r < rows; ++r) {
    if (batch.tokens[r] < 0 || batch.tokens[r] >= cfg_.vocab)
      return Fail(Code::kInvalidArgument, "token id {} is not in the vocabulary of {}",
                  batch.tokens[r], cfg_.vocab);
    const auto sequence = static_cast<size_t>(batch.sequences[r]);
    if (batch.sequences[r] < 0 || sequence >= batch.tables.size())
      return Fail(Code::kInvalidArgument, "sequence {} of {}", batch.sequences[r],
                  batch.tables.size());
    const int64_t positions =
        std::min(std::ssize(batch.tables[sequence]) * kBlockPositions, options_.max_positions);
    if (batch.positions[r] < 0 || batch.positions[r] >= positions)
      return Fail(Code::kInvalidArgument, "position {} is beyond the context of {}",
                  batch.positions[r], positions);
  }
  if (static_cast<int64_t>(batch.logit_rows.size()) >
      std::min(options_.max_logit_rows, options_.max_rows))
    return Fail(Code::kInvalidArgument, "logits of {} rows wanted, at most {}",
                batch.logit_rows.size(), options_.max_logit_rows);
  for (const int32_t row : batch.logit_rows)
    if (row < 0 || static_cast<size_t>(row) >= rows)
      return Fail(Code::kInvalidArgument, "logits of row {} of {} wanted", row, rows);
  return {};
}

PassOutput Decoder::OutputOf(const Batch& batch) const {
  if (batch.output != PassOutput::kTopLogits || be_.ranks_logits()) return batch.output;
  return PassOutput::kLogits;
}

Result<FloatView> Decoder::Forward(const Batch& batch, KvCache& cache) {
  TERN_TRY(CheckBatch(batch, cache));
  const StepInfo step{batch.positions, batch.sequences, batch.tables};
  const PassOutput output = OutputOf(batch);
  TERN_ASSIGN_OR_RETURN(const bool run, be_.BeginPass({batch.tokens, step, batch.logit_rows,
                                                       x_.as<void>(), cache.Layer(0).k, output}));
  if (run) RunOps(batch, step, cache);
  TERN_TRY(be_.EndPass());
  const auto wanted = static_cast<int64_t>(batch.logit_rows.size());
  if (output == PassOutput::kHidden) return be_.Fetch(Rows(final_, wanted, cfg_.dim));
  if (output == PassOutput::kLogits) return be_.Fetch(Rows(logits_, wanted, cfg_.vocab));
  TERN_TRY(FetchTop(wanted));
  return FloatView(nullptr, wanted, cfg_.vocab);
}

Status Decoder::FetchTop(int64_t rows) {
  TERN_ASSIGN_OR_RETURN(const FloatView top, be_.Fetch(Rows(top_, 2 * rows, kTopLogits)));
  const auto count = static_cast<size_t>(rows * kTopLogits);
  top_logits_.assign(top.data, top.data + count);
  top_ids_.resize(count);
  if (count > 0) std::memcpy(top_ids_.data(), top.data + count, count * sizeof(TokenId));
  return {};
}

RankedLogits Decoder::Top(int64_t row) const {
  constexpr auto kCount = static_cast<size_t>(kTopLogits);
  const size_t first = static_cast<size_t>(row) * kCount;
  return {std::span(top_logits_).subspan(first, kCount),
          std::span(top_ids_).subspan(first, kCount)};
}

Result<std::span<const float>> Decoder::AllLogits(int64_t row) {
  TERN_ASSIGN_OR_RETURN(const FloatView all,
                        be_.Fetch({logits_.as<float>() + row * cfg_.vocab, 1, cfg_.vocab}));
  return std::span<const float>(all.data, static_cast<size_t>(all.cols));
}

void Decoder::RunOps(const Batch& batch, const StepInfo& step, KvCache& cache) {
  const auto rows = static_cast<int64_t>(batch.tokens.size());
  const FloatView x = Rows(x_, rows, cfg_.dim);
  be_.Embed(batch.tokens, *model_.embedding, x);
  for (int64_t i = 0; i < cfg_.layers; ++i) {
    be_.BeginLayer(i);
    Layer(model_.layers[static_cast<size_t>(i)], step, cache.Layer(i), rows);
  }
  be_.BeginLayer(kNoLayer);

  const auto wanted = static_cast<int64_t>(batch.logit_rows.size());
  const FloatView last = Rows(final_, wanted, cfg_.dim);
  be_.NormRows(x, batch.logit_rows, model_.output_norm.as<float>(), cfg_.eps, last);
  const PassOutput output = OutputOf(batch);
  if (output == PassOutput::kHidden) return;
  const FloatView logits = Rows(logits_, wanted, cfg_.vocab);
  be_.Logits(last, model_.Head(), logits);
  if (output == PassOutput::kTopLogits)
    be_.TopLogits(logits, top_.as<float>(), top_.as<TokenId>() + wanted * kTopLogits);
}

// One layer. A missing gain means "no norm, quantise only": sub-norms and head norms are data, not
// branches.
void Decoder::Layer(const LayerWeights& w, const StepInfo& step, const KvLayer& kv, int64_t rows) {
  const HeadShape& heads = cfg_.heads;
  const FloatView x = Rows(x_, rows, cfg_.dim);  // (rows, dim)
  const FloatView qkv =
      Rows(qkv_, rows, heads.qkv_cols());  // (rows, (heads + 2 kv_heads) * head_dim)
  const FloatView att = Rows(att_, rows, heads.q_cols());  // (rows, heads * head_dim)
  const FloatView gate_up = Rows(gate_up_, rows, 2 * cfg_.ffn);
  const FloatView h = Rows(h_, rows, cfg_.ffn);
  const RopeOptions rope{cfg_.rope_style,      cfg_.rope.dims,       rope_.as<float>(),
                         w.q_norm.as<float>(), w.k_norm.as<float>(), cfg_.eps};

  NormLinear(x, w.attn_norm, w.qkv, qkv);
  be_.RopeAttention(qkv, heads, rope, step, kv, att);
  NormLinear(att, w.attn_sub_norm, *w.o, x, Epilogue::kAdd);

  if (w.gate_up.matrices.size() == 1 && !NormsApart()) {
    const PackedTernary& both = *w.gate_up.matrices[0];
    be_.NormLinearGated(x, w.ffn_norm.as<float>(), cfg_.eps, Input(both.cols(), both.group(), rows),
                        both, cfg_.gate, gate_up, h);
  } else {
    NormLinear(x, w.ffn_norm, w.gate_up, gate_up);
    be_.GatedActivation(gate_up, cfg_.gate, h);
  }
  NormLinear(h, w.ffn_sub_norm, *w.down, x, Epilogue::kAdd);
}

}  // namespace tern
