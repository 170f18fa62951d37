#include "formats/gguf_writer.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/bytes.h"
#include "base/math.h"
#include "formats/gguf_header.h"
#include "formats/gguf_values.h"
#include "formats/printable.h"
#include "platform/output_file.h"

namespace tern {
namespace {

constexpr uint32_t kVersion = 3;

template <class T>
constexpr GgufValueType TypeOf() {
  if constexpr (std::is_same_v<T, uint8_t>) return GgufValueType::kU8;
  if constexpr (std::is_same_v<T, int8_t>) return GgufValueType::kI8;
  if constexpr (std::is_same_v<T, uint16_t>) return GgufValueType::kU16;
  if constexpr (std::is_same_v<T, int16_t>) return GgufValueType::kI16;
  if constexpr (std::is_same_v<T, uint32_t>) return GgufValueType::kU32;
  if constexpr (std::is_same_v<T, int32_t>) return GgufValueType::kI32;
  if constexpr (std::is_same_v<T, float>) return GgufValueType::kF32;
  if constexpr (std::is_same_v<T, bool>) return GgufValueType::kBool;
  if constexpr (std::is_same_v<T, std::string>) return GgufValueType::kString;
  if constexpr (std::is_same_v<T, uint64_t>) return GgufValueType::kU64;
  if constexpr (std::is_same_v<T, int64_t>) return GgufValueType::kI64;
  if constexpr (std::is_same_v<T, double>) return GgufValueType::kF64;
}

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

class HeaderBytes {
 public:
  template <class T>
  void Put(T value) {
    bytes_.resize(bytes_.size() + sizeof(T));
    StoreLe(bytes_.data() + bytes_.size() - sizeof(T), value);
  }
  void Put(std::string_view text) {
    Put(uint64_t{text.size()});
    const auto first = std::as_bytes(std::span(text));
    bytes_.resize(bytes_.size() + first.size());
    std::copy(first.begin(), first.end(), bytes_.end() - std::ssize(first));
  }
  void Put(const std::string& text) { Put(std::string_view(text)); }
  void Put(bool value) { Put(static_cast<uint8_t>(value ? 1 : 0)); }
  void Put(GgufValueType type) { Put(static_cast<uint32_t>(type)); }

  void PutValue(const GgufValue& value) {
    std::visit(
        [this](const auto& v) {
          using T = std::decay_t<decltype(v)>;
          if constexpr (IsVector<T>::value) {
            using Element = typename T::value_type;
            Put(GgufValueType::kArray);
            Put(TypeOf<Element>());
            Put(uint64_t{v.size()});
            for (const auto& element : v) Put(element);
          } else {
            Put(TypeOf<T>());
            Put(v);
          }
        },
        value);
  }

  std::vector<std::byte> AlignedTo(uint64_t alignment) && {
    bytes_.resize(AlignUp(bytes_.size(), alignment));
    return std::move(bytes_);
  }

 private:
  std::vector<std::byte> bytes_;
};

uint64_t Padded(uint64_t bytes) { return AlignUp(bytes, kGgufDefaultAlignment); }

}  // namespace

void GgufWriter::Set(std::string key, GgufValue value) {
  const auto found = std::find_if(values_.begin(), values_.end(),
                                  [&](const auto& entry) { return entry.first == key; });
  if (found != values_.end())
    found->second = std::move(value);
  else
    values_.emplace_back(std::move(key), std::move(value));
}

Status GgufWriter::AddTensor(std::string name, std::vector<int64_t> shape, const Codec& codec,
                             Producer produce) {
  const std::string context = fmt::format("tensor '{}'", Printable(name));
  if (name.empty() || name.size() > kGgufMaxNameBytes)
    return Fail(Code::kInvalidArgument, "{}: the name has {} bytes, GGUF allows 1 to {}", context,
                name.size(), kGgufMaxNameBytes);
  if (names_.contains(name)) return Fail(Code::kInvalidArgument, "{} was added twice", context);
  if (shape.empty() || shape.size() > kGgufMaxDims)
    return Fail(Code::kInvalidArgument, "{} has {} dimensions, GGUF allows 1 to {}", context,
                shape.size(), kGgufMaxDims);
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i)
    if (shape[i] <= 0 || __builtin_mul_overflow(rows, shape[i], &rows))
      return Fail(Code::kInvalidArgument, "{}: no tensor has a dimension of {}", context, shape[i]);
  const auto bytes = codec.byte_span(rows, shape.back());
  if (!bytes) return Within(context, bytes.error());
  names_.insert(name);
  tensors_.push_back(
      {std::move(name), std::move(shape), codec.type_id, *bytes, std::move(produce)});
  return {};
}

Status GgufWriter::AddTensor(std::string name, std::vector<int64_t> shape, const Codec& codec,
                             std::span<const std::byte> bytes) {
  return AddTensor(std::move(name), std::move(shape), codec,
                   [bytes](const ByteSink& sink) { return sink(bytes); });
}

std::vector<std::byte> GgufWriter::Header() const {
  HeaderBytes header;
  for (const char c : std::string_view("GGUF")) header.Put(c);
  header.Put(kVersion);
  header.Put(uint64_t{tensors_.size()});
  header.Put(uint64_t{values_.size()});
  for (const auto& [key, value] : values_) {
    header.Put(key);
    header.PutValue(value);
  }
  uint64_t offset = 0;
  for (const Tensor& tensor : tensors_) {
    header.Put(tensor.name);
    header.Put(static_cast<uint32_t>(tensor.shape.size()));
    for (auto dim = tensor.shape.rbegin(); dim != tensor.shape.rend(); ++dim) header.Put(*dim);
    header.Put(tensor.type_id);
    header.Put(offset);
    offset += Padded(tensor.bytes);
  }
  return std::move(header).AlignedTo(kGgufDefaultAlignment);
}

uint64_t GgufWriter::FileBytes() const {
  uint64_t bytes = Header().size();
  for (const Tensor& tensor : tensors_) bytes += Padded(tensor.bytes);
  return bytes;
}

Status GgufWriter::Write(const std::string& path) const {
  TERN_ASSIGN_OR_RETURN(const auto file, OutputFile::Create(path));
  TERN_TRY(file->Write(Header()));
  const std::array<std::byte, kGgufDefaultAlignment> zeros{};
  for (const Tensor& tensor : tensors_) {
    uint64_t written = 0;
    const ByteSink sink = [&](std::span<const std::byte> bytes) {
      written += bytes.size();
      return file->Write(bytes);
    };
    const Status status = tensor.produce(sink);
    const std::string context = fmt::format("tensor '{}'", Printable(tensor.name));
    if (!status) return Within(context, status.error());
    if (written != tensor.bytes)
      return Fail(Code::kInternal, "{}: got {} bytes to write, expected {}", context, written,
                  tensor.bytes);
    TERN_TRY(file->Write(std::span(zeros).first(Padded(tensor.bytes) - tensor.bytes)));
  }
  return file->Commit();
}

}  // namespace tern
