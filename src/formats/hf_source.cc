#include "formats/hf_source.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

#include "formats/hf_linear.h"
#include "formats/hf_names.h"
#include "formats/printable.h"
#include "platform/mapped_file.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

class HfSource final : public WeightSource {
 public:
  HfSource(std::string path, Metadata metadata)
      : path_(std::move(path)), metadata_(std::move(metadata)) {}

  /// Files the tensors under their GGUF names.
  Status Build(const HfConfig& config, std::vector<SafetensorsTensor> tensors, bool tied);

  const std::string& path() const override { return path_; }
  std::string format() const override { return "Hugging Face safetensors"; }
  const Metadata& metadata() const override { return metadata_; }
  std::span<const TensorInfo> tensors() const override { return infos_; }
  const TensorInfo* Find(std::string_view name) const override {
    const auto it = index_.find(name);
    return it == index_.end() ? nullptr : &infos_[it->second];
  }
  Result<TernaryMatrix> ReadTernary(std::string_view name) const override;
  Result<DenseMatrix> ReadDense(std::string_view name) const override;
  Result<std::vector<float>> ReadF32(std::string_view name) const override;

 private:
  struct Item {
    SafetensorsTensor tensor;
    HfPlace place;
    HfLinear linear;  // of a kLinear
  };

  Status Add(const HfConfig& config, Item& item,
             const std::map<std::string, const SafetensorsTensor*>& scales);
  Result<const Item*> Get(std::string_view name, bool ternary) const;
  static std::string Where(const SafetensorsTensor& tensor) {
    return fmt::format("{}: tensor '{}'", tensor.file->path(), Printable(tensor.name));
  }

  std::string path_;
  Metadata metadata_;
  std::vector<SafetensorsTensor> scale_tensors_;
  std::vector<Item> items_;        // same order as infos_
  std::vector<TensorInfo> infos_;  // as tern would write them
  std::map<std::string, size_t, std::less<>> index_;
};

Status HfSource::Build(const HfConfig& config, std::vector<SafetensorsTensor> tensors, bool tied) {
  std::map<std::string, const SafetensorsTensor*> scales;  // by the GGUF name of the linear layer
  scale_tensors_.reserve(tensors.size());                  // `scales` points into it
  for (SafetensorsTensor& tensor : tensors) {
    auto place = PlaceOf(tensor.name, config, tied);
    if (!place) return Within(Where(tensor), place.error());
    if (place->role == HfRole::kScale) {
      scale_tensors_.push_back(std::move(tensor));
      scales.emplace(place->name, &scale_tensors_.back());
    } else if (place->role != HfRole::kUnused) {
      items_.push_back({std::move(tensor), std::move(*place), {}});
    }
  }
  std::sort(items_.begin(), items_.end(),
            [](const Item& a, const Item& b) { return a.place.order < b.place.order; });
  for (Item& item : items_)
    if (auto status = Add(config, item, scales); !status)
      return Within(Where(item.tensor), status.error());
  return {};
}

Status HfSource::Add(const HfConfig& config, Item& item,
                     const std::map<std::string, const SafetensorsTensor*>& scales) {
  const SafetensorsTensor& tensor = item.tensor;
  const HfPlace& place = item.place;
  TensorInfo info;
  info.name = place.name;
  info.shape = {place.rows, place.cols};
  info.type = Name(tensor.type);
  info.bytes = tensor.bytes.size();
  info.offset = tensor.offset;
  info.file = tensor.file->path();
  if (place.role == HfRole::kLinear) {
    const auto scale = scales.find(place.name);
    item.linear.weight = &tensor;
    item.linear.weight_scale = scale == scales.end() ? nullptr : scale->second;
    item.linear.rows = place.rows;
    item.linear.cols = place.cols;
    item.linear.permute_head_dim = place.permute_heads > 0 ? config.head_dim : 0;
    TERN_TRY(ClassifyLinear(config, item.linear));
    info.ternary = true;
    info.type = FormText(item.linear);
  } else {
    if (place.role == HfRole::kNorm) info.shape = {place.cols};
    if (!FloatType(tensor.type))
      return Fail(Code::kUnsupported, "found {}, expected F32, F16 or BF16", info.type);
    if (tensor.shape != info.shape)
      return Fail(Code::kCorrupt, "found {}, expected {}", ShapeText(tensor.shape),
                  ShapeText(info.shape));
  }
  if (!index_.emplace(info.name, infos_.size()).second)
    return Fail(Code::kCorrupt, "a second tensor for '{}'", info.name);
  infos_.push_back(std::move(info));
  return {};
}

Result<const HfSource::Item*> HfSource::Get(std::string_view name, bool ternary) const {
  const auto it = index_.find(name);
  if (it == index_.end()) return Fail(Code::kNotFound, "{}: no tensor '{}'", path_, name);
  if (infos_[it->second].ternary != ternary)
    return Fail(Code::kUnsupported, "{}: is {}", Where(items_[it->second].tensor),
                ternary ? "dense, not ternary" : "ternary, not dense");
  return &items_[it->second];
}

Result<TernaryMatrix> HfSource::ReadTernary(std::string_view name) const {
  TERN_ASSIGN_OR_RETURN(const Item* item, Get(name, true));
  auto matrix = ReadLinear(item->linear);
  if (!matrix) return Within(Where(item->tensor), matrix.error());
  return matrix;
}

Result<DenseMatrix> HfSource::ReadDense(std::string_view name) const {
  TERN_ASSIGN_OR_RETURN(const Item* item, Get(name, false));
  return DenseMatrix{*FloatType(item->tensor.type), item->place.rows, item->place.cols,
                     item->tensor.bytes, item->tensor.file};
}

Result<std::vector<float>> HfSource::ReadF32(std::string_view name) const {
  const TensorInfo* info = Find(name);
  if (info && info->ternary) {
    TERN_ASSIGN_OR_RETURN(const TernaryMatrix matrix, ReadTernary(name));
    const auto cols = static_cast<size_t>(matrix.cols());
    std::vector<float> out(static_cast<size_t>(matrix.rows()) * cols);
    for (int64_t r = 0; r < matrix.rows(); ++r)
      matrix.DequantizeRow(r, std::span(out).subspan(static_cast<size_t>(r) * cols, cols));
    return out;
  }
  TERN_ASSIGN_OR_RETURN(const DenseMatrix dense, ReadDense(name));
  std::vector<float> out(static_cast<size_t>(dense.rows * dense.cols));
  DecodeRow(dense.type, dense.bytes.data(), out);
  return out;
}

/// "bitnet-b1.58" is the graph with squared ReLU under the names of transformers; 1bitLLM's names,
/// or SiLU, are upstream's "bitnet".
std::string ArchitectureOf(const HfConfig& config, std::span<const SafetensorsTensor> tensors) {
  if (config.family == HfFamily::kLlama) return "llama";
  if (config.family == HfFamily::kQwen3) return "qwen3";
  const bool one_bit_llm =
      std::any_of(tensors.begin(), tensors.end(),
                  [](const SafetensorsTensor& tensor) { return IsSubNormOf1bitLlm(tensor.name); });
  return one_bit_llm || config.activation != "relu2" ? "bitnet" : "bitnet-b1.58";
}

/// The last component of the folder's full path.
std::string FolderName(const std::string& path) {
  std::error_code ec;
  fs::path full = fs::weakly_canonical(path, ec);
  if (!full.has_filename()) full = full.parent_path();
  return full.filename().string();
}

}  // namespace

Result<std::unique_ptr<WeightSource>> MakeHfSource(const std::string& path, const HfConfig& config,
                                                   std::vector<SafetensorsTensor> tensors) {
  const bool has_head =
      std::any_of(tensors.begin(), tensors.end(),
                  [](const SafetensorsTensor& tensor) { return tensor.name == "lm_head.weight"; });
  const bool tied = config.tied.value_or(!has_head);
  // Without this check a lost head would silently be replaced by the embedding.
  if (!tied && !has_head)
    return Fail(Code::kNotFound,
                "{}: tensor 'lm_head.weight' is missing, and tie_word_embeddings is false", path);
  const std::string architecture = ArchitectureOf(config, tensors);
  auto source =
      std::make_unique<HfSource>(path, MetadataOf(config, architecture, FolderName(path)));
  TERN_TRY(source->Build(config, std::move(tensors), tied));
  return source;
}

Result<std::unique_ptr<WeightSource>> OpenHfFolder(const std::string& path, const SourceOptions&) {
  TERN_ASSIGN_OR_RETURN(const auto file,
                        MappedFile::Open((fs::path(path) / "config.json").string()));
  const auto bytes = file->bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  TERN_ASSIGN_OR_RETURN(const HfConfig config, ParseHfConfig(text, file->path()));
  TERN_ASSIGN_OR_RETURN(auto tensors, OpenSafetensorsFolder(path));
  return MakeHfSource(path, config, std::move(tensors));
}

}  // namespace tern
