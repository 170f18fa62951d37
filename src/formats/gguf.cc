#include "formats/gguf.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <unordered_map>
#include <utility>

#include "formats/gguf_header.h"
#include "formats/gguf_types.h"
#include "formats/printable.h"

namespace tern {
namespace {

std::string Named(std::string_view tensor) { return fmt::format("tensor '{}'", Printable(tensor)); }

// What no decoder can make up for.
Status CheckModel(const Metadata& metadata) {
  constexpr std::string_view kHadamard = "prism.hadamard.";
  const auto key = metadata.all().lower_bound(kHadamard);
  if (key != metadata.all().end() && key->first.starts_with(kHadamard))
    return Fail(Code::kUnsupported,
                "metadata key '{}' says that the weights are kept in a Hadamard-rotated basis: the "
                "activations would have to be rotated too, which tern does not do, and without it "
                "the output is noise; use a file of this model without rotation",
                Printable(key->first));
  TERN_ASSIGN_OR_RETURN(const int64_t parts, metadata.IntOr("split.count", 1));
  if (parts > 1)
    return Fail(Code::kUnsupported,
                "this is one of {} parts of a split model; join them into one file first "
                "(gguf-split --merge)",
                parts);
  return {};
}

// Indices of the tensors by the position of their data.
std::vector<size_t> OrderByOffset(const std::vector<GgufTensor>& tensors) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return tensors[a].offset < tensors[b].offset; });
  return order;
}

// Types of all tensors, by index. data_bytes: from the data offset to the end of the file.
Result<std::vector<GgufType>> ResolveTypes(const GgufHeader& header,
                                           const std::vector<size_t>& order, uint64_t data_bytes,
                                           I2sLayout layout) {
  std::vector<GgufType> types(header.tensors.size());
  for (size_t i = 0; i < order.size(); ++i) {
    const GgufTensor& tensor = header.tensors[order[i]];
    const bool last = i + 1 == order.size();
    const uint64_t end = last ? data_bytes : header.tensors[order[i + 1]].offset;
    const GgufPlace place{tensor.type_id, tensor.rows(),
                          tensor.cols(),  end > tensor.offset ? end - tensor.offset : 0,
                          last,           header.alignment};
    auto type = ResolveGgufType(place, layout);
    if (!type) return Within(Named(tensor.name), std::move(type.error()));
    types[order[i]] = std::move(*type);
  }
  return types;
}

// Tensors too small to tell what their id means follow the others of that id, if these agree.
void SettleUndecided(const std::vector<GgufTensor>& tensors, std::vector<GgufType>& types) {
  std::unordered_map<uint32_t, std::set<std::string>> decided;
  for (size_t i = 0; i < types.size(); ++i)
    if (types[i].choices.empty()) decided[tensors[i].type_id].insert(types[i].name);
  for (size_t i = 0; i < types.size(); ++i) {
    const std::set<std::string>& names = decided[tensors[i].type_id];
    if (types[i].choices.empty() || names.size() != 1) continue;
    const auto choice = std::find_if(types[i].choices.begin(), types[i].choices.end(),
                                     [&](const GgufType& t) { return t.name == *names.begin(); });
    if (choice != types[i].choices.end()) types[i] = GgufType(*choice);
  }
}

// Gaps are tolerated, overlaps and data behind the end of the file are not.
Status CheckBounds(const GgufHeader& header, const std::vector<size_t>& order,
                   const std::vector<GgufType>& types, uint64_t data_bytes, uint64_t file_bytes) {
  for (size_t i = 0; i < order.size(); ++i) {
    const GgufTensor& tensor = header.tensors[order[i]];
    const uint64_t bytes = types[order[i]].bytes;
    if (tensor.offset > data_bytes || bytes > data_bytes - tensor.offset)
      return Fail(
          Code::kCorrupt,
          "the file is cut: {} needs {} bytes at offset {} of the data, which begins at {}; "
          "the file has {} bytes",
          Named(tensor.name), bytes, tensor.offset, header.data_offset, file_bytes);
    if (i + 1 == order.size()) break;
    const GgufTensor& next = header.tensors[order[i + 1]];
    if (bytes > next.offset - tensor.offset)
      return Fail(Code::kCorrupt, "{} takes {} bytes at data offset {}, but {} begins at {}",
                  Named(tensor.name), bytes, tensor.offset, Named(next.name), next.offset);
  }
  return {};
}

TensorInfo Describe(const GgufTensor& tensor, const GgufType& type, uint64_t data_offset,
                    const std::string& path) {
  TensorInfo info;
  info.name = tensor.name;
  info.shape.assign(tensor.dims.rbegin(), tensor.dims.rend());
  info.type = type.name;
  info.ternary = type.codec && !type.codec->dense;
  info.bytes = type.bytes;
  info.offset = data_offset + tensor.offset;
  info.file = path;
  return info;
}

class GgufSource : public WeightSource {
 public:
  GgufSource(std::shared_ptr<const MappedFile> file, GgufHeader header, std::vector<GgufType> types)
      : file_(std::move(file)),
        format_(fmt::format("GGUF v{}", header.version)),
        metadata_(std::move(header.metadata)),
        types_(std::move(types)) {
    infos_.reserve(header.tensors.size());
    for (size_t i = 0; i < header.tensors.size(); ++i)
      infos_.push_back(Describe(header.tensors[i], types_[i], header.data_offset, file_->path()));
    for (size_t i = 0; i < infos_.size(); ++i) index_.emplace(infos_[i].name, i);
  }

  const std::string& path() const override { return file_->path(); }
  std::string format() const override { return format_; }
  const Metadata& metadata() const override { return metadata_; }
  std::span<const TensorInfo> tensors() const override { return infos_; }

  const TensorInfo* Find(std::string_view name) const override {
    const auto found = index_.find(name);
    return found == index_.end() ? nullptr : &infos_[found->second];
  }

  Result<TernaryMatrix> ReadTernary(std::string_view name) const override {
    TERN_ASSIGN_OR_RETURN(const Found found, Lookup(name));
    if (found.codec->dense)
      return Refuse(name, "its type {} is dense, expected a ternary type", found.codec->type_name);
    TERN_TRY(CheckMatrix(found));
    return InContext(
        name, found.codec->decode_ternary(found.info->rows(), found.info->cols(), found.bytes));
  }

  Result<DenseMatrix> ReadDense(std::string_view name) const override {
    TERN_ASSIGN_OR_RETURN(const Found found, Lookup(name));
    if (!found.codec->dense)
      return Refuse(name, "its type {} is ternary, expected a dense type", found.codec->type_name);
    TERN_TRY(CheckMatrix(found));
    return DenseMatrix{*found.codec->dense, found.info->rows(), found.info->cols(), found.bytes,
                       file_};
  }

  Result<std::vector<float>> ReadF32(std::string_view name) const override {
    TERN_ASSIGN_OR_RETURN(const Found found, Lookup(name));
    const int64_t cols = found.info->cols();
    int64_t rows = 1;
    for (const int64_t dim : found.info->shape) rows *= dim;
    rows /= cols;
    std::vector<float> values(static_cast<size_t>(rows * cols));
    TERN_TRY(InContext(name, found.codec->decode(rows, cols, found.bytes, values)));
    return values;
  }

 private:
  struct Found {
    const TensorInfo* info;
    const Codec* codec;
    std::span<const std::byte> bytes;
  };

  template <class... Args>
  tl::unexpected<Error> Refuse(std::string_view tensor, fmt::format_string<Args...> format,
                               Args&&... args) const {
    return Fail(Code::kUnsupported, "{}: {}: {}", path(), Named(tensor),
                fmt::format(format, std::forward<Args>(args)...));
  }

  template <class T>
  Result<T> InContext(std::string_view tensor, Result<T> result) const {
    if (result) return result;
    return Within(fmt::format("{}: {}", path(), Named(tensor)), std::move(result.error()));
  }

  Result<Found> Lookup(std::string_view name) const {
    const auto found = index_.find(name);
    if (found == index_.end())
      return Fail(Code::kNotFound, "{}: there is no {}", path(), Named(name));
    const GgufType& type = types_[found->second];
    if (!type.codec) return Refuse(name, "{}", type.refusal);
    const TensorInfo& info = infos_[found->second];
    return Found{&info, type.codec, file_->bytes().subspan(info.offset, info.bytes)};
  }

  Status CheckMatrix(const Found& found) const {
    for (size_t i = 0; i + 2 < found.info->shape.size(); ++i)
      if (found.info->shape[i] != 1)
        return Refuse(found.info->name, "it has {} dimensions, expected a matrix",
                      found.info->shape.size());
    return {};
  }

  std::shared_ptr<const MappedFile> file_;
  std::string format_;
  Metadata metadata_;
  std::vector<GgufType> types_;
  std::vector<TensorInfo> infos_;
  std::unordered_map<std::string_view, size_t> index_;  // keys are views into infos_
};

Result<std::unique_ptr<WeightSource>> Open(std::shared_ptr<const MappedFile> file,
                                           const SourceOptions& options) {
  TERN_ASSIGN_OR_RETURN(GgufHeader header, ParseGgufHeader(file->bytes()));
  TERN_TRY(CheckModel(header.metadata));
  const uint64_t file_bytes = file->bytes().size();
  const uint64_t data_bytes = file_bytes > header.data_offset ? file_bytes - header.data_offset : 0;
  const std::vector<size_t> order = OrderByOffset(header.tensors);
  TERN_ASSIGN_OR_RETURN(std::vector<GgufType> types,
                        ResolveTypes(header, order, data_bytes, options.i2s_layout));
  SettleUndecided(header.tensors, types);
  TERN_TRY(CheckBounds(header, order, types, data_bytes, file_bytes));
  return std::make_unique<GgufSource>(std::move(file), std::move(header), std::move(types));
}

}  // namespace

Result<std::unique_ptr<WeightSource>> OpenGguf(std::shared_ptr<const MappedFile> file,
                                               const SourceOptions& options) {
  const std::string path = file->path();
  auto source = Open(std::move(file), options);
  if (!source) return Within(path, std::move(source.error()));
  return source;
}

}  // namespace tern
