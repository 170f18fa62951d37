// Any bytes as a GGUF file: opened, every tensor read in every way, all metadata asked for.
#include <cstddef>
#include <cstdint>

#include "formats/gguf.h"
#include "platform/mapped_file.h"

namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 20;
constexpr int64_t kMaxElements = int64_t{1}
                                 << 24;  // floats take up to 20 times the room of ternary types

void ReadTensors(const tern::WeightSource& source) {
  for (const tern::TensorInfo& info : source.tensors()) {
    if (source.Find(info.name) == nullptr) __builtin_trap();
    (void)source.ReadTernary(info.name);
    (void)source.ReadDense(info.name);
    int64_t elements = 1;
    for (const int64_t dim : info.shape)
      if (__builtin_mul_overflow(elements, dim, &elements)) __builtin_trap();
    if (elements <= kMaxElements) (void)source.ReadF32(info.name);
  }
}

void ReadMetadata(const tern::Metadata& metadata) {
  for (const auto& [key, value] : metadata.all()) {
    (void)metadata.Int(key);
    (void)metadata.Float(key);
    (void)metadata.Bool(key);
    (void)metadata.String(key);
    (void)metadata.Strings(key);
    (void)metadata.Ints(key);
    (void)metadata.Floats(key);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > kMaxFileBytes) return 0;
  const auto bytes = std::as_bytes(std::span(data, size));
  for (const auto layout : {tern::I2sLayout::kX86, tern::I2sLayout::kRows4}) {
    const auto source = tern::OpenGguf(tern::MappedFile::FromBytes("fuzz.gguf", bytes),
                                       tern::SourceOptions{layout});
    if (!source) continue;
    ReadTensors(**source);
    ReadMetadata((*source)->metadata());
  }
  return 0;
}
