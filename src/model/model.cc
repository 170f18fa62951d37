#include "model/model.h"

#include <array>
#include <cmath>

#include "tensor/scales.h"

namespace tern {
namespace {

std::string LayerName(int64_t layer, std::string_view part) {
  return fmt::format("blk.{}.{}", layer, part);
}

// Tensor names come first in every message; the source puts its path in front.
Status CheckShape(const WeightSource& source, const TensorInfo& info, int64_t rows, int64_t cols) {
  const bool vector = rows == 1 && info.shape.size() == 1;
  if ((vector || info.shape.size() == 2) && info.rows() == rows && info.cols() == cols) return {};
  return Fail(Code::kCorrupt, "{}: tensor '{}': found shape ({}), expected ({}, {})", source.path(),
              info.name, fmt::join(info.shape, ", "), rows, cols);
}

Status CheckTensor(const WeightSource& source, const ExpectedTensor& expected) {
  const TensorInfo* info = source.Find(expected.name);
  if (info == nullptr) {
    if (expected.optional) return {};
    return Fail(Code::kNotFound, "{}: tensor '{}' is missing, expected shape ({}, {})",
                source.path(), expected.name, expected.rows, expected.cols);
  }
  TERN_TRY(CheckShape(source, *info, expected.rows, expected.cols));
  // A type that can't be read at all has a reason of its own, which the source knows.
  if (!info->ternary) {
    if (const auto dense = source.ReadDense(expected.name); !dense)
      return tl::unexpected(dense.error());
  }
  if (expected.ternary && !info->ternary)
    return Fail(Code::kUnsupported,
                "{}: tensor '{}': found type {}, expected a ternary type: this is not a ternary "
                "model, tern runs "
                "weights of -1, 0 and +1 only",
                source.path(), expected.name, info->type);
  return {};
}

class Loader {
 public:
  Loader(const WeightSource& source, Backend& backend, WeightCache& cache, bool join)
      : source_(source), backend_(backend), cache_(cache), join_(join) {}

  Result<Buffer> Gain(const std::string& name, int64_t size) {
    TERN_TRY(CheckTensor(source_, {name, 1, size, false, false}));
    TERN_ASSIGN_OR_RETURN(const std::vector<float> values, source_.ReadF32(name));
    for (const float v : values)
      if (!std::isfinite(v))
        return Fail(Code::kCorrupt, "{}: tensor '{}': found {}, expected finite values",
                    source_.path(), name, v);
    return backend_.Upload(values);
  }

  // Some writers keep weights of +-1 and put a projection's scale into a tensor of its own.
  Result<TernaryMatrix> Ternary(const std::string& name, int64_t rows, int64_t cols) {
    TERN_TRY(CheckTensor(source_, {name + ".weight", rows, cols, true, false}));
    TERN_ASSIGN_OR_RETURN(TernaryMatrix matrix, source_.ReadTernary(name + ".weight"));
    const std::string scale_name = name + ".scale";
    if (source_.Find(scale_name)) {
      TERN_ASSIGN_OR_RETURN(const std::vector<float> scale, source_.ReadF32(scale_name));
      if (scale.size() != 1 || !std::isfinite(scale[0]))
        return Fail(Code::kCorrupt,
                    "{}: tensor '{}': found {} values ({}), expected one finite scale",
                    source_.path(), scale_name, scale.size(), fmt::join(scale, ", "));
      matrix.MultiplyScales(scale[0]);
    }
    return SimplifyScales(std::move(matrix));
  }

  struct Part {
    std::string name;
    int64_t rows;
  };

  // Inputs are quantised once for all parts: that takes the same groups in each. Stacked matrices
  // have the finest ones.
  Result<MatrixParts> PackParts(std::span<const Part> parts, int64_t cols) {
    MatrixParts packed;
    bool one_group = true;
    for (size_t i = 0; i < parts.size() && !join_; ++i) {
      TERN_ASSIGN_OR_RETURN(auto matrix, Pack(parts.subspan(i, 1), cols));
      packed.matrices.push_back(std::move(matrix));
      one_group = one_group && packed.matrices[i]->group() == packed.group();
    }
    if (!join_ && one_group) return packed;
    packed.matrices.clear();
    TERN_ASSIGN_OR_RETURN(auto matrix, Pack(parts, cols));
    packed.matrices.push_back(std::move(matrix));
    return packed;
  }

  // Matrices with the same input, as one.
  Result<std::unique_ptr<PackedTernary>> Pack(std::span<const Part> parts, int64_t cols) {
    std::string name;
    int64_t rows = 0;
    for (const Part& part : parts) {
      name += (name.empty() ? "" : "+") + part.name;
      rows += part.rows;
    }
    if (auto kept = cache_.Get(name, rows, cols, backend_)) return kept;
    std::vector<TernaryMatrix> matrices;
    for (const Part& part : parts) {
      TERN_ASSIGN_OR_RETURN(TernaryMatrix matrix, Ternary(part.name, part.rows, cols));
      matrices.push_back(std::move(matrix));
    }
    TERN_ASSIGN_OR_RETURN(auto packed, backend_.Pack(matrices.size() == 1 ? std::move(matrices[0])
                                                                          : StackRows(matrices)));
    cache_.Put(name, *packed);
    return packed;
  }

  Result<std::unique_ptr<TokenTable>> Table(const std::string& name, int64_t rows, int64_t cols,
                                            TableForm form) {
    TERN_TRY(CheckTensor(source_, {name, rows, cols, false, false}));
    if (source_.Find(name)->ternary) {
      TERN_ASSIGN_OR_RETURN(TernaryMatrix matrix, source_.ReadTernary(name));
      return backend_.PackTable(SimplifyScales(std::move(matrix)), form);
    }
    TERN_ASSIGN_OR_RETURN(DenseMatrix matrix, source_.ReadDense(name));
    return backend_.PackTable(std::move(matrix), form);
  }

  Result<LayerWeights> Layer(const ModelConfig& c, int64_t layer) {
    const HeadShape& heads = c.heads;
    const auto name = [layer](std::string_view part) { return LayerName(layer, part); };
    LayerWeights w;
    TERN_ASSIGN_OR_RETURN(w.attn_norm, Gain(name("attn_norm.weight"), c.dim));
    TERN_ASSIGN_OR_RETURN(w.ffn_norm, Gain(name("ffn_norm.weight"), c.dim));
    if (c.sub_norms) {
      TERN_ASSIGN_OR_RETURN(w.attn_sub_norm, Gain(name("attn_sub_norm.weight"), heads.q_cols()));
      TERN_ASSIGN_OR_RETURN(w.ffn_sub_norm, Gain(name("ffn_sub_norm.weight"), c.ffn));
    }
    if (c.head_norms) {
      TERN_ASSIGN_OR_RETURN(w.q_norm, Gain(name("attn_q_norm.weight"), heads.head_dim));
      TERN_ASSIGN_OR_RETURN(w.k_norm, Gain(name("attn_k_norm.weight"), heads.head_dim));
    }
    const std::array<Part, 3> qkv = {{{name("attn_q"), heads.q_cols()},
                                      {name("attn_k"), heads.kv_cols()},
                                      {name("attn_v"), heads.kv_cols()}}};
    TERN_ASSIGN_OR_RETURN(w.qkv, PackParts(qkv, c.dim));
    const std::array<Part, 1> o = {{{name("attn_output"), c.dim}}};
    TERN_ASSIGN_OR_RETURN(w.o, Pack(o, heads.q_cols()));
    const std::array<Part, 2> gate_up = {{{name("ffn_gate"), c.ffn}, {name("ffn_up"), c.ffn}}};
    TERN_ASSIGN_OR_RETURN(w.gate_up, PackParts(gate_up, c.dim));
    const std::array<Part, 1> down = {{{name("ffn_down"), c.dim}}};
    TERN_ASSIGN_OR_RETURN(w.down, Pack(down, c.ffn));
    return w;
  }

 private:
  const WeightSource& source_;
  Backend& backend_;
  WeightCache& cache_;
  const bool join_;
};

}  // namespace

std::vector<const PackedTernary*> LayerWeights::Matrices() const {
  std::vector<const PackedTernary*> all = {o.get(), down.get()};
  for (const MatrixParts* parts : {&qkv, &gate_up})
    for (const auto& matrix : parts->matrices) all.push_back(matrix.get());
  return all;
}

size_t Model::WeightBytes() const {
  size_t total = embedding->bytes() + (head ? head->bytes() : 0) + output_norm.bytes();
  for (const LayerWeights& w : layers) {
    for (const Buffer* b :
         {&w.attn_norm, &w.attn_sub_norm, &w.q_norm, &w.k_norm, &w.ffn_norm, &w.ffn_sub_norm})
      total += b->bytes();
    for (const PackedTernary* m : w.Matrices()) total += m->bytes();
  }
  return total;
}

std::vector<ExpectedTensor> ExpectedTensors(const ModelConfig& c) {
  std::vector<ExpectedTensor> all = {{"token_embd.weight", c.vocab, c.dim, false, false}};
  const int64_t q = c.heads.q_cols(), kv = c.heads.kv_cols();
  for (int64_t i = 0; i < c.layers; ++i) {
    const auto add = [&](std::string_view part, int64_t rows, int64_t cols, bool ternary) {
      all.push_back({LayerName(i, part), rows, cols, ternary, false});
    };
    add("attn_norm.weight", 1, c.dim, false);
    add("attn_q.weight", q, c.dim, true);
    add("attn_k.weight", kv, c.dim, true);
    add("attn_v.weight", kv, c.dim, true);
    if (c.head_norms) {
      add("attn_q_norm.weight", 1, c.heads.head_dim, false);
      add("attn_k_norm.weight", 1, c.heads.head_dim, false);
    }
    if (c.sub_norms) add("attn_sub_norm.weight", 1, q, false);
    add("attn_output.weight", c.dim, q, true);
    add("ffn_norm.weight", 1, c.dim, false);
    add("ffn_gate.weight", c.ffn, c.dim, true);
    add("ffn_up.weight", c.ffn, c.dim, true);
    if (c.sub_norms) add("ffn_sub_norm.weight", 1, c.ffn, false);
    add("ffn_down.weight", c.dim, c.ffn, true);
  }
  all.push_back({"output_norm.weight", 1, c.dim, false, false});
  all.push_back({"output.weight", c.vocab, c.dim, false, true});
  return all;
}

Status CheckTensors(const WeightSource& source, const ModelConfig& config) {
  for (const ExpectedTensor& expected : ExpectedTensors(config))
    TERN_TRY(CheckTensor(source, expected));
  return {};
}

uint64_t PackedBytes(const ModelConfig& config) {
  uint64_t bytes = 0;
  for (const ExpectedTensor& tensor : ExpectedTensors(config))
    if (tensor.ternary) bytes += static_cast<uint64_t>(tensor.rows * tensor.cols) / 4;
  return bytes;
}

Result<Model> LoadModel(const WeightSource& source, Backend& backend, const LoadOptions& options) {
  Model model;
  TERN_ASSIGN_OR_RETURN(model.config, ReadModelConfig(source));
  const ModelConfig& c = model.config;
  TERN_TRY(CheckTensors(source, c));
  const bool join = options.level == OptimizationLevel::kAggressive;
  WeightCache cache = WeightCache::Open(options.cache, source, options.source, backend,
                                        join ? "joined" : "apart", PackedBytes(c));
  Loader loader(source, backend, cache, join);
  TERN_ASSIGN_OR_RETURN(model.embedding,
                        loader.Table("token_embd.weight", c.vocab, c.dim, TableForm::kNative));
  const std::string head = source.Find("output.weight") ? "output.weight" : "token_embd.weight";
  if (head != "token_embd.weight" || options.head != TableForm::kNative) {
    TERN_ASSIGN_OR_RETURN(model.head, loader.Table(head, c.vocab, c.dim, options.head));
  }
  TERN_ASSIGN_OR_RETURN(model.output_norm, loader.Gain("output_norm.weight", c.dim));
  for (int64_t i = 0; i < c.layers; ++i) {
    backend.BeginLayer(i);
    TERN_ASSIGN_OR_RETURN(LayerWeights layer, loader.Layer(c, i));
    model.layers.push_back(std::move(layer));
    if (options.progress) options.progress(i + 1, c.layers);
  }
  backend.BeginLayer(kNoLayer);
  cache.Finish();
  model.cache = cache.report();
  return model;
}

}  // namespace tern
