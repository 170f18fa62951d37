// A safetensors file from anywhere: parsed, presented as a model of each family, and read whole.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "formats/hf_source.h"

namespace tern {
namespace {

/// The configuration that the seeds were made for, as one of the families.
HfConfig Config(HfFamily family, HfQuantization quantization) {
  HfConfig config;
  config.family = family;
  config.quantization = quantization;
  config.dim = 8;
  config.layers = 1;
  config.heads = 2;
  config.kv_heads = 1;
  config.head_dim = 4;
  config.ffn = 12;
  config.vocab = 5;
  config.context = 16;
  config.eps = 1e-5;
  config.activation = "silu";
  return config;
}

void Require(bool condition) {
  if (!condition) std::abort();
}

void ReadAll(const WeightSource& source) {
  for (const TensorInfo& info : source.tensors()) {
    const auto floats = source.ReadF32(info.name);
    if (!info.ternary) {
      const auto dense = source.ReadDense(info.name);
      Require(dense && floats);
      Require(dense->bytes.size() == info.bytes);
      continue;
    }
    const auto matrix = source.ReadTernary(info.name);
    Require(matrix.has_value() == floats.has_value());
    if (!matrix) continue;
    Require(matrix->rows() == info.rows() && matrix->cols() == info.cols());
    for (int64_t r = 0; r < matrix->rows(); ++r)
      for (int64_t c = 0; c < matrix->cols(); ++c)
        Require(matrix->At(r, c) >= -1 && matrix->At(r, c) <= 1);
  }
}

}  // namespace
}  // namespace tern

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tern;
  const auto file = MappedFile::FromBytes("fuzz.safetensors", std::as_bytes(std::span(data, size)));
  const auto tensors = ParseSafetensors(file);
  if (!tensors) return 0;
  uint64_t covered = 0;
  for (const SafetensorsTensor& tensor : *tensors) covered += tensor.bytes.size();
  Require(covered < size);  // they tile what the header leaves
  for (const HfFamily family : {HfFamily::kBitNet, HfFamily::kLlama, HfFamily::kQwen3})
    for (const HfQuantization quantization : {HfQuantization::kNone, HfQuantization::kMultiply,
                                              HfQuantization::kDivide, HfQuantization::kOnline}) {
      const auto source = MakeHfSource("fuzz", Config(family, quantization), *tensors);
      if (source) ReadAll(**source);
    }
  return 0;
}
