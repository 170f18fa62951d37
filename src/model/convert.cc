#include "model/convert.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "formats/codec.h"
#include "formats/gguf_writer.h"
#include "model/convert_metadata.h"
#include "model/model.h"
#include "model/model_config.h"
#include "tensor/scales.h"

namespace tern {
namespace {

bool IsTable(std::string_view name) {
  return name == "token_embd.weight" || name == "output.weight";
}

/// Of the tensor seen as a matrix: everything but its last dimension.
int64_t Rows(const TensorInfo& info) {
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < info.shape.size(); ++i) rows *= info.shape[i];
  return rows;
}

constexpr std::array<std::string_view, 5> kTableTypes = {"f32", "f16", "bf16", "q8_0", "q6_k"};

/// The types that can hold this shape, for messages.
std::string TypesFor(const TensorInfo& info, bool ternary) {
  std::vector<std::string_view> names;
  const auto add = [&](std::string_view name) {
    if (FindCodec(name)->byte_span(Rows(info), info.cols())) names.push_back(name);
  };
  if (ternary)
    for (const TernaryTarget& target : TernaryTargets()) add(target.codec);
  else
    std::for_each(kTableTypes.begin(), kTableTypes.end(), add);
  return names.empty() ? "no type can" : fmt::format("possible: {}", fmt::join(names, ", "));
}

/// Encodes a matrix row by row; read(r, row) fills a row of floats.
template <class Read>
Status WriteRows(const TensorInfo& info, DType type, const GgufWriter::ByteSink& sink, Read read) {
  TERN_ASSIGN_OR_RETURN(const uint64_t row_bytes, RowBytes(type, info.cols()));
  std::vector<float> row(static_cast<size_t>(info.cols()));
  std::vector<std::byte> out(row_bytes);
  for (int64_t r = 0; r < Rows(info); ++r) {
    read(r, std::span(row));
    TERN_TRY(EncodeRow(type, row, out));
    TERN_TRY(sink(out));
  }
  return {};
}

class Converter {
 public:
  Converter(const WeightSource& source, const ConvertOptions& options,
            const ConvertProgress& progress)
      : source_(source), options_(options), progress_(progress) {}

  Result<ConvertSummary> Run(const TokenizerSpec* tokenizer, const std::string& out);

 private:
  Status ChooseTarget();
  Status WriteKeys(const TokenizerSpec* tokenizer, int64_t rows);
  Status Add(const TensorInfo& info);
  Status AddTernary(const TensorInfo& info);
  Status AddDense(const TensorInfo& info, DType type);
  Status AddDequantized(const TensorInfo& info, DType type);
  Status AddTensor(const TensorInfo& info, const Codec& codec, GgufWriter::Producer produce);
  Status WriteTernary(const TensorInfo& info, const GgufWriter::ByteSink& sink);
  void Count(std::string_view type, uint64_t bytes);

  const WeightSource& source_;
  const ConvertOptions& options_;
  const ConvertProgress& progress_;
  const TernaryTarget* target_ = nullptr;
  GgufWriter writer_;
  ConvertSummary summary_;
  int64_t done_ = 0;
};

Result<ConvertSummary> Converter::Run(const TokenizerSpec* tokenizer, const std::string& out) {
  // A file that could not be loaded again must not be written.
  TERN_ASSIGN_OR_RETURN(const ModelConfig config, ReadModelConfig(source_));
  TERN_TRY(CheckTensors(source_, config));
  TERN_TRY(ChooseTarget());
  TERN_TRY(WriteKeys(tokenizer, config.vocab));
  for (const TensorInfo& info : source_.tensors()) TERN_TRY(Add(info));
  TERN_TRY(writer_.Write(out));
  summary_.file_bytes = writer_.FileBytes();
  return std::move(summary_);
}

Status Converter::ChooseTarget() {
  std::string_view type = options_.type;
  if (type.empty()) {
    // One projection speaks for all: a model has per-tensor scales or it doesn't.
    constexpr std::string_view kFirst = "blk.0.attn_q.weight";
    TERN_ASSIGN_OR_RETURN(TernaryMatrix matrix, source_.ReadTernary(kFirst));
    type = SimplifyScales(std::move(matrix)).scale().kind == ScaleKind::kTensor ? "i2_s" : "q2_0";
  }
  target_ = FindTernaryTarget(type);
  if (!target_)
    return Fail(Code::kInvalidArgument, "type '{}' can't be written, expected one of: {}", type,
                TernaryTargetNames());
  summary_.type = FindCodec(target_->codec)->type_name;
  return {};
}

Status Converter::WriteKeys(const TokenizerSpec* tokenizer, int64_t rows) {
  constexpr char kChatTemplate[] = "tokenizer.chat_template";
  const Metadata& metadata = source_.metadata();
  TERN_TRY(WriteMetadata(metadata, target_->file_type, writer_));
  if (!options_.name.empty()) writer_.Set("general.name", options_.name);
  if (!tokenizer) {
    if (!metadata.Has("tokenizer.ggml.model"))
      summary_.notes.push_back("without a tokenizer: the source has none");
    return {};
  }
  if (auto status = WriteTokenizer(*tokenizer, rows, writer_, summary_.notes); !status)
    return Within(source_.path(), status.error());
  std::string chat = MendedChatTemplate(tokenizer->chat_template, metadata, *tokenizer);
  if (chat != tokenizer->chat_template)
    summary_.notes.push_back("chat template of BitNet b1.58 2B4T written");
  if (!chat.empty()) writer_.Set(kChatTemplate, std::move(chat));
  return {};
}

Status Converter::Add(const TensorInfo& info) {
  const bool table = IsTable(info.name) && options_.embedding;
  if (info.ternary) return table ? AddDequantized(info, *options_.embedding) : AddTernary(info);
  if (info.shape.size() < 2) return AddDense(info, DType::kF32);
  if (table) return AddDense(info, *options_.embedding);
  TERN_ASSIGN_OR_RETURN(const DenseMatrix dense, source_.ReadDense(info.name));
  return AddDense(info, dense.type);
}

Status Converter::AddTensor(const TensorInfo& info, const Codec& codec,
                            GgufWriter::Producer produce) {
  const auto bytes = codec.byte_span(Rows(info), info.cols());
  if (!bytes)
    return Fail(Code::kInvalidArgument, "{}: tensor '{}': {} ({})", source_.path(), info.name,
                bytes.error().message, TypesFor(info, !codec.dense));
  Count(codec.type_name, *bytes);
  const auto total = static_cast<int64_t>(source_.tensors().size());
  return writer_.AddTensor(info.name, info.shape, codec,
                           [this, &info, total, produce = std::move(produce)](
                               const GgufWriter::ByteSink& sink) -> Status {
                             TERN_TRY(produce(sink));
                             ++done_;
                             if (progress_) progress_(done_, total, info.name);
                             return {};
                           });
}

Status Converter::AddTernary(const TensorInfo& info) {
  return AddTensor(
      info, *FindCodec(target_->codec),
      [this, &info](const GgufWriter::ByteSink& sink) { return WriteTernary(info, sink); });
}

Status Converter::WriteTernary(const TensorInfo& info, const GgufWriter::ByteSink& sink) {
  const Codec& codec = *FindCodec(target_->codec);
  TERN_ASSIGN_OR_RETURN(TernaryMatrix matrix, source_.ReadTernary(info.name));
  // Blocks of zeros carry no scale of their own: they must not keep a tensor from having one.
  matrix = SimplifyScales(std::move(matrix));
  TERN_ASSIGN_OR_RETURN(const uint64_t bytes, codec.byte_span(matrix.rows(), matrix.cols()));
  std::vector<std::byte> out(bytes);
  TERN_ASSIGN_OR_RETURN(const EncodeReport report, codec.encode(matrix, out));
  if (report.max_scale_error > summary_.max_scale_error) {
    summary_.max_scale_error = report.max_scale_error;
    summary_.worst_tensor = info.name;
  }
  return sink(out);
}

Status Converter::AddDense(const TensorInfo& info, DType type) {
  return AddTensor(info, DenseCodec(type),
                   [this, &info, type](const GgufWriter::ByteSink& sink) -> Status {
                     TERN_ASSIGN_OR_RETURN(const DenseMatrix dense, source_.ReadDense(info.name));
                     if (dense.type == type) return sink(dense.bytes);
                     return WriteRows(info, type, sink, [&dense](int64_t r, std::span<float> row) {
                       DecodeRow(dense.type, dense.Row(r), row);
                     });
                   });
}

Status Converter::AddDequantized(const TensorInfo& info, DType type) {
  return AddTensor(
      info, DenseCodec(type), [this, &info, type](const GgufWriter::ByteSink& sink) -> Status {
        TERN_ASSIGN_OR_RETURN(const TernaryMatrix matrix, source_.ReadTernary(info.name));
        return WriteRows(info, type, sink, [&matrix](int64_t r, std::span<float> row) {
          matrix.DequantizeRow(r, row);
        });
      });
}

void Converter::Count(std::string_view type, uint64_t bytes) {
  auto kind = std::find_if(summary_.kinds.begin(), summary_.kinds.end(),
                           [&](const ConvertSummary::Kind& k) { return k.type == type; });
  if (kind == summary_.kinds.end()) kind = summary_.kinds.insert(kind, {std::string(type), 0, 0});
  ++kind->tensors;
  kind->bytes += bytes;
}

}  // namespace

Result<ConvertSummary> Convert(const WeightSource& source, const TokenizerSpec* tokenizer,
                               const ConvertOptions& options, const std::string& out,
                               const ConvertProgress& progress) {
  return Converter(source, options, progress).Run(tokenizer, out);
}

}  // namespace tern
