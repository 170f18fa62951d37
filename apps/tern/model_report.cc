#include "model_report.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "formats/gguf_header.h"
#include "kv/kv_cache.h"
#include "platform/mapped_file.h"
#include "tensor/scales.h"
#include "tokenizer/chat_format.h"

namespace tern::cli {
namespace {

namespace fs = std::filesystem;

// The report names the file once; its sentences need not.
std::string Sentence(const ModelReport& report, const Error& error) {
  const std::string prefix = report.path + ": ";
  return error.message.starts_with(prefix) ? error.message.substr(prefix.size()) : error.message;
}

uint64_t Values(const TensorInfo& info) {
  uint64_t values = 1;
  for (const int64_t size : info.shape) values *= static_cast<uint64_t>(size);
  return values;
}

uint64_t FileBytes(const std::string& path, std::span<const TensorInfo> tensors) {
  std::set<std::string> files;
  for (const TensorInfo& tensor : tensors) files.insert(tensor.file);
  if (files.empty()) files.insert(path);
  uint64_t total = 0;
  for (const std::string& file : files) {
    std::error_code ec;
    const uintmax_t size = fs::file_size(file, ec);
    if (!ec) total += size;
  }
  return total;
}

std::string DescribeScales(const ScaleSpec& scale) {
  switch (scale.kind) {
    case ScaleKind::kTensor:
      return "one per tensor";
    case ScaleKind::kRow:
      return "one per row";
    case ScaleKind::kGroup:
      break;
  }
  return fmt::format("one per {} columns", scale.group);
}

std::vector<TypeReport> CountTypes(std::span<const TensorInfo> tensors) {
  std::vector<TypeReport> types;
  for (const TensorInfo& tensor : tensors) {
    auto type = std::find_if(types.begin(), types.end(), [&](const TypeReport& t) {
      return t.type == tensor.type && t.ternary == tensor.ternary;
    });
    if (type == types.end()) {
      types.push_back({.type = tensor.type, .ternary = tensor.ternary});
      type = types.end() - 1;
    }
    ++type->tensors;
    type->values += Values(tensor);
    type->bytes += tensor.bytes;
  }
  std::stable_sort(types.begin(), types.end(),
                   [](const auto& a, const auto& b) { return a.values > b.values; });
  return types;
}

// Decodes one tensor of each ternary type: enough to see its scales, and cheap for any model.
Status LookAtScales(const WeightSource& source, std::vector<TypeReport>& types) {
  for (TypeReport& type : types) {
    if (!type.ternary) continue;
    const auto first = std::find_if(
        source.tensors().begin(), source.tensors().end(),
        [&](const TensorInfo& tensor) { return tensor.ternary && tensor.type == type.type; });
    TERN_ASSIGN_OR_RETURN(TernaryMatrix matrix, source.ReadTernary(first->name));
    type.scales = DescribeScales(SimplifyScales(std::move(matrix)).scale());
  }
  return {};
}

MemoryReport EstimateMemory(const ModelConfig& config, const std::vector<TypeReport>& types,
                            int64_t context) {
  MemoryReport memory;
  memory.context = context > 0 ? context : std::min(config.context, kDefaultContext);
  for (const TypeReport& type : types)
    memory.weights += type.ternary ? type.values / 4 : type.bytes;
  memory.kv_cache =
      KvShape{.layers = config.layers,
              .blocks = BlocksFor(memory.context),
              .kv_heads = config.heads.kv_heads,
              .head_dim = config.heads.head_dim,
              .type = config.trained_with == ActivationType::kFloat ? KvType::kF32 : KvType::kF16}
          .bytes();
  return memory;
}

Result<TokenizerReport> ReportTokenizer(TokenizerSpec spec, const std::string& architecture) {
  TERN_ASSIGN_OR_RETURN(const auto tokenizer, Tokenizer::Create(std::move(spec)));
  const TokenizerSpec& s = tokenizer->spec();
  return TokenizerReport{
      .kind = s.model == TokenizerModel::kByteBpe ? "byte-level BPE" : "SentencePiece BPE",
      .pre = s.pre,
      .tokens = s.tokens.size(),
      .bos = s.bos,
      .eos = s.eos,
      .eot = s.eot,
      .add_bos = s.add_bos,
      .chat = std::string(Name(DetectChatFamily(*tokenizer, architecture))),
      .note = s.note};
}

// A file that is refused as a whole still has a header that can be read.
bool ReportRefusedGguf(ModelReport& report) {
  const auto file = MappedFile::Open(report.path);
  if (!file || !HasGgufMagic((*file)->bytes())) return false;
  const auto header = ParseGgufHeader((*file)->bytes());
  if (!header) return false;
  report.format = fmt::format("GGUF v{}", header->version);
  report.file_bytes = (*file)->bytes().size();
  report.architecture = header->metadata.StringOr("general.architecture", "").value_or("");
  report.name = header->metadata.StringOr("general.name", "").value_or("");
  return true;
}

// tokenizer.json, tiktoken and SentencePiece files.
bool ReportTokenizerFile(ModelReport& report, const ModelOptions& options) {
  auto spec = LoadTokenizerSpec(report.path, ToTokenizerOptions(options));
  if (!spec) return false;
  auto tokenizer = ReportTokenizer(std::move(*spec), "");
  if (!tokenizer) return false;
  report.format = "tokenizer file";
  report.tokenizer = std::move(*tokenizer);
  report.file_bytes = FileBytes(report.path, {});
  return true;
}

Status ReportWeights(const WeightSource& source, const ModelOptions& options, ModelReport& report) {
  TERN_ASSIGN_OR_RETURN(report.config, ReadModelConfig(source));
  report.memory = EstimateMemory(*report.config, report.types, options.context);
  TERN_TRY(CheckTensors(source, *report.config));
  return LookAtScales(source, report.types);
}

Status ReportVocabulary(const WeightSource& source, const ModelOptions& options,
                        ModelReport& report) {
  auto spec = ReadTokenizerSpec(source, ToTokenizerOptions(options));
  if (!spec && spec.error().code == Code::kNotFound)
    return Fail(Code::kNotFound, "{}; without one, only tern logits runs it",
                Sentence(report, spec.error()));
  if (!spec) return tl::unexpected(spec.error());
  TERN_ASSIGN_OR_RETURN(report.tokenizer, ReportTokenizer(std::move(*spec), report.architecture));
  if (!report.config) return {};
  return CheckVocabulary(source.path(), report.tokenizer->tokens, report.config->vocab);
}

}  // namespace

double TypeReport::BitsPerWeight() const {
  return values == 0 ? 0 : 8 * static_cast<double>(bytes) / static_cast<double>(values);
}

Result<ModelReport> ReportModel(const ModelOptions& options) {
  ModelReport report;
  TERN_ASSIGN_OR_RETURN(report.path, ModelPath(options));
  const auto source = OpenWeights(report.path, ToSourceOptions(options));
  if (!source) {
    const Error& error = source.error();
    report.obstacle = Sentence(report, error);
    if (error.code == Code::kUnsupported && ReportRefusedGguf(report)) return report;
    if (ReportTokenizerFile(report, options)) {
      report.obstacle = "it holds a tokenizer and no weights: good for tern tokenize only";
      return report;
    }
    return tl::unexpected(error);
  }
  const WeightSource& weights = **source;
  report.format = weights.format();
  report.tensors.assign(weights.tensors().begin(), weights.tensors().end());
  report.file_bytes = FileBytes(report.path, report.tensors);
  report.architecture = weights.metadata().StringOr("general.architecture", "").value_or("");
  report.name = weights.metadata().StringOr("general.name", "").value_or("");
  report.types = CountTypes(weights.tensors());
  const Status runs = ReportWeights(weights, options, report);
  const Status reads = ReportVocabulary(weights, options, report);
  if (report.tensors.empty())
    report.obstacle = "it holds a vocabulary and no weights: good for tern tokenize only";
  else if (!runs)
    report.obstacle = Sentence(report, runs.error());
  else if (!reads)
    report.obstacle = Sentence(report, reads.error());
  return report;
}

nlohmann::ordered_json ToJson(const ModelReport& report, bool with_tensors) {
  using Json = nlohmann::ordered_json;
  const auto optional = [](const auto& value) { return value ? Json(*value) : Json(nullptr); };
  Json json = {{"path", report.path},
               {"format", report.format},
               {"file_bytes", report.file_bytes},
               {"architecture", report.architecture},
               {"name", report.name},
               {"runs", report.obstacle.empty()},
               {"obstacle", report.obstacle.empty() ? Json(nullptr) : Json(report.obstacle)}};
  if (const auto& c = report.config)
    json["config"] = {{"layers", c->layers},
                      {"dim", c->dim},
                      {"ffn", c->ffn},
                      {"vocab", c->vocab},
                      {"context", c->context},
                      {"heads", c->heads.heads},
                      {"kv_heads", c->heads.kv_heads},
                      {"head_dim", c->heads.head_dim},
                      {"eps", c->eps},
                      {"rope_base", c->rope.base},
                      {"activations", c->trained_with == ActivationType::kInt8 ? "int8" : "float"}};
  json["types"] = Json::array();
  for (const TypeReport& type : report.types)
    json["types"].push_back({{"type", type.type},
                             {"ternary", type.ternary},
                             {"tensors", type.tensors},
                             {"values", type.values},
                             {"bytes", type.bytes},
                             {"bits_per_weight", type.BitsPerWeight()},
                             {"scales", type.scales}});
  if (const auto& t = report.tokenizer)
    json["tokenizer"] = {
        {"kind", t->kind},         {"pre", t->pre},           {"tokens", t->tokens},
        {"bos", optional(t->bos)}, {"eos", optional(t->eos)}, {"eot", optional(t->eot)},
        {"add_bos", t->add_bos},   {"chat", t->chat},         {"note", t->note}};
  if (const auto& m = report.memory)
    json["memory"] = {{"weights", m->weights}, {"kv_cache", m->kv_cache}, {"context", m->context}};
  if (!with_tensors) return json;
  json["tensors"] = Json::array();
  for (const TensorInfo& tensor : report.tensors)
    json["tensors"].push_back({{"name", tensor.name},
                               {"type", tensor.type},
                               {"shape", tensor.shape},
                               {"bytes", tensor.bytes},
                               {"offset", tensor.offset},
                               {"file", tensor.file}});
  return json;
}

}  // namespace tern::cli
