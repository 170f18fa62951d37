#include "model/synth.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/rng.h"
#include "formats/codec.h"
#include "formats/gguf_writer.h"
#include "model/convert_metadata.h"
#include "model/model.h"
#include "model/synth_vocabulary.h"

namespace tern {
namespace {

constexpr int64_t kRun = 256;       // values that are drawn at once: the longest block of any type
constexpr size_t kPoolRuns = 4096;  // runs to draw from
constexpr size_t kWriteBytes = size_t{1} << 20;
constexpr float kEmbeddingDeviation = 0.02f;  // logits then deviate by about sqrt(dim) * 0.02

/// Encoded runs of random values; a tensor is a sequence of them.
struct Pool {
  std::vector<std::byte> runs;  // kPoolRuns of run_bytes each
  size_t run_bytes = 0;
  std::vector<std::byte> tail;  // what the type has once a tensor (I2_S: its scale)
};

Result<Pool> TernaryPool(const Codec& codec, float scale, uint64_t seed) {
  Rng rng(seed);
  std::vector<int8_t> values(kPoolRuns * kRun);
  for (int8_t& v : values) v = static_cast<int8_t>(static_cast<int>(rng.Next() % 3) - 1);
  TERN_ASSIGN_OR_RETURN(
      const TernaryMatrix matrix,
      TernaryMatrix::FromValues(kPoolRuns, kRun, values, ScaleSpec::Tensor(scale)));
  TERN_ASSIGN_OR_RETURN(const uint64_t one, codec.byte_span(1, kRun));
  TERN_ASSIGN_OR_RETURN(const uint64_t two, codec.byte_span(2, kRun));
  TERN_ASSIGN_OR_RETURN(const uint64_t all, codec.byte_span(kPoolRuns, kRun));
  Pool pool;
  pool.run_bytes = two - one;
  pool.runs.resize(all);
  TERN_ASSIGN_OR_RETURN([[maybe_unused]] const EncodeReport report,
                        codec.encode(matrix, pool.runs));
  const auto end_of_runs = static_cast<int64_t>(kPoolRuns * pool.run_bytes);
  pool.tail.assign(pool.runs.begin() + end_of_runs, pool.runs.end());
  pool.runs.resize(kPoolRuns * pool.run_bytes);
  return pool;
}

Result<Pool> DensePool(DType type, uint64_t seed) {
  Rng rng(seed);
  Pool pool;
  TERN_ASSIGN_OR_RETURN(pool.run_bytes, RowBytes(type, kRun));
  pool.runs.resize(kPoolRuns * pool.run_bytes);
  const float width = kEmbeddingDeviation * std::sqrt(12.0f);  // of a uniform distribution
  std::array<float, kRun> run;
  for (size_t i = 0; i < kPoolRuns; ++i) {
    for (float& v : run) v = width * static_cast<float>(rng.NextUnit() - 0.5);
    TERN_TRY(
        EncodeRow(type, run, std::span(pool.runs).subspan(i * pool.run_bytes, pool.run_bytes)));
  }
  return pool;
}

Status WriteRuns(const Pool& pool, int64_t runs, uint64_t seed, const GgufWriter::ByteSink& sink) {
  Rng rng(seed);
  std::vector<std::byte> out;
  out.reserve(kWriteBytes + pool.run_bytes);
  for (int64_t i = 0; i < runs; ++i) {
    const auto* run = pool.runs.data() + rng.Next() % kPoolRuns * pool.run_bytes;
    out.insert(out.end(), run, run + pool.run_bytes);
    if (out.size() < kWriteBytes) continue;
    TERN_TRY(sink(out));
    out.clear();
  }
  out.insert(out.end(), pool.tail.begin(), pool.tail.end());
  return sink(out);
}

Status WriteGains(int64_t count, uint64_t seed, const GgufWriter::ByteSink& sink) {
  Rng rng(seed);
  std::vector<std::byte> out(static_cast<size_t>(count) * sizeof(float));
  for (size_t i = 0; i < out.size(); i += sizeof(float))
    StoreLe(out.data() + i, static_cast<float>(0.75 + rng.NextUnit() / 2));
  return sink(out);
}

Result<ModelConfig> Config(const SynthShape& shape) {
  TERN_ASSIGN_OR_RETURN(const Architecture* arch, FindArchitecture(shape.architecture));
  ModelConfig config;
  config.layers = shape.layers;
  config.dim = shape.dim;
  config.ffn = shape.ffn;
  config.vocab = shape.vocab;
  config.heads = {shape.heads, shape.kv_heads, shape.dim / shape.heads};
  config.sub_norms = arch->sub_norms;
  config.head_norms = arch->head_norms;
  return config;
}

class Synthesizer {
 public:
  Synthesizer(const SynthShape& shape, const SynthOptions& options, const ConvertProgress& progress)
      : shape_(shape), options_(options), progress_(progress) {}

  Result<uint64_t> Run(const std::string& out) {
    const TernaryTarget* target = FindTernaryTarget(options_.type);
    if (!target)
      return Fail(Code::kInvalidArgument, "type '{}' can't be written, expected one of: {}",
                  options_.type, TernaryTargetNames());
    codec_ = FindCodec(target->codec);
    TERN_TRY(SetKeys(target->file_type));
    TERN_ASSIGN_OR_RETURN(const ModelConfig config, Config(shape_));
    std::vector<ExpectedTensor> tensors = ExpectedTensors(config);
    if (shape_.tied) std::erase_if(tensors, [](const auto& t) { return t.optional; });
    total_ = std::ssize(tensors);
    for (const ExpectedTensor& tensor : tensors) TERN_TRY(Add(tensor));
    TERN_TRY(writer_.Write(out));
    return writer_.FileBytes();
  }

 private:
  Status SetKeys(uint32_t file_type) {
    const auto set = [this](std::string_view key, GgufValue value) {
      writer_.Set(fmt::format("{}.{}", shape_.architecture, key), std::move(value));
    };
    const auto set_size = [&](std::string_view key, int64_t value) {
      set(key, static_cast<uint32_t>(value));
    };
    writer_.Set("general.architecture", std::string(shape_.architecture));
    writer_.Set("general.name",
                fmt::format("random weights, shape {}, seed {}", shape_.preset, options_.seed));
    writer_.Set("general.file_type", file_type);
    writer_.Set("general.quantization_version", kQuantizationVersion);
    set_size("vocab_size", shape_.vocab);
    set_size("context_length", shape_.context);
    set_size("embedding_length", shape_.dim);
    set_size("block_count", shape_.layers);
    set_size("feed_forward_length", shape_.ffn);
    set_size("rope.dimension_count", shape_.dim / shape_.heads);
    set_size("attention.head_count", shape_.heads);
    set_size("attention.head_count_kv", shape_.kv_heads);
    set("attention.layer_norm_rms_epsilon", 1e-5f);
    set("rope.freq_base", static_cast<float>(shape_.rope_base));
    std::vector<std::string> notes;
    return WriteTokenizer(SynthVocabulary(shape_.vocab), shape_.vocab, writer_, notes);
  }

  Status Add(const ExpectedTensor& tensor) {
    const uint64_t seed = Rng(options_.seed * 0x10001 + added_++).Next();
    if (tensor.rows == 1)
      return AddTensor(tensor, {tensor.cols}, DenseCodec(DType::kF32),
                       [cols = tensor.cols, seed](const GgufWriter::ByteSink& sink) {
                         return WriteGains(cols, seed, sink);
                       });
    if (tensor.rows * tensor.cols % kRun != 0)
      return Fail(Code::kInvalidArgument, "tensor '{}': {} x {} values are no multiple of {}",
                  tensor.name, tensor.rows, tensor.cols, kRun);
    TERN_ASSIGN_OR_RETURN(const std::shared_ptr<const Pool> pool, PoolFor(tensor));
    const int64_t runs = tensor.rows * tensor.cols / kRun;
    return AddTensor(tensor, {tensor.rows, tensor.cols},
                     tensor.ternary ? *codec_ : DenseCodec(options_.embedding),
                     [pool, runs, seed](const GgufWriter::ByteSink& sink) {
                       return WriteRuns(*pool, runs, seed, sink);
                     });
  }

  Status AddTensor(const ExpectedTensor& tensor, std::vector<int64_t> dims, const Codec& codec,
                   GgufWriter::Producer produce) {
    return writer_.AddTensor(tensor.name, std::move(dims), codec,
                             [this, name = tensor.name, produce = std::move(produce)](
                                 const GgufWriter::ByteSink& sink) -> Status {
                               TERN_TRY(produce(sink));
                               if (progress_) progress_(++done_, total_, name);
                               return {};
                             });
  }

  // A pool for each input width, because the scale follows from it: sums of cols random weights, a
  // third of them 0, then keep the variance of the inputs.
  Result<std::shared_ptr<const Pool>> PoolFor(const ExpectedTensor& tensor) {
    auto& pool = pools_[tensor.ternary ? tensor.cols : 0];
    if (!pool) {
      const uint64_t seed = Rng(options_.seed ^ pools_.size() << 32).Next();
      const float scale = std::sqrt(1.5f / static_cast<float>(tensor.cols));
      TERN_ASSIGN_OR_RETURN(Pool made, tensor.ternary ? TernaryPool(*codec_, scale, seed)
                                                      : DensePool(options_.embedding, seed));
      pool = std::make_shared<const Pool>(std::move(made));
    }
    return pool;
  }

  const SynthShape& shape_;
  const SynthOptions& options_;
  const ConvertProgress& progress_;
  const Codec* codec_ = nullptr;
  std::map<int64_t, std::shared_ptr<const Pool>> pools_;  // by inputs; 0: the token tables
  GgufWriter writer_;
  uint64_t added_ = 0;
  int64_t done_ = 0, total_ = 0;
};

}  // namespace

Result<uint64_t> Synthesize(const SynthShape& shape, const SynthOptions& options,
                            const std::string& out, const ConvertProgress& progress) {
  return Synthesizer(shape, options, progress).Run(out);
}

}  // namespace tern
