#include "tensor/dense_matrix.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "base/bytes.h"
#include "base/check.h"
#include "base/float16.h"
#include "base/math.h"
#include "tensor/q6_k.h"

namespace tern {
namespace {

// Indexed by DType.
constexpr std::array<DTypeInfo, 7> kInfo = {{
    {"f32", 1, 4},
    {"f16", 1, 2},
    {"bf16", 1, 2},
    {"q8_0", 32, 34},
    {"q4_0", 32, 18},
    {"q4_k", 256, 144},
    {"q6_k", 256, 210},
}};

float HalfAt(const std::byte* p) { return HalfToFloat(LoadLe<uint16_t>(p)); }

unsigned ByteAt(const std::byte* p, int i) { return std::to_integer<unsigned>(p[i]); }

void DecodeQ8Block(const std::byte* block, float* out) {
  const float d = HalfAt(block);
  for (int j = 0; j < 32; ++j) out[j] = d * static_cast<float>(LoadLe<int8_t>(block + 2 + j));
}

void DecodeQ4Block(const std::byte* block, float* out) {
  const float d = HalfAt(block);
  for (int j = 0; j < 16; ++j) {
    const unsigned byte = ByteAt(block, 2 + j);
    out[j] = d * static_cast<float>(static_cast<int>(byte & 15u) - 8);
    out[j + 16] = d * static_cast<float>(static_cast<int>(byte >> 4) - 8);
  }
}

// Six-bit scale and minimum of sub-block s, kept in 12 bytes.
struct ScaleMin {
  unsigned scale, min;
};
ScaleMin UnpackScaleMin(const std::byte* s12, int s) {
  if (s < 4) return {ByteAt(s12, s) & 63u, ByteAt(s12, s + 4) & 63u};
  const unsigned both = ByteAt(s12, s + 4);
  return {(both & 15u) | (ByteAt(s12, s - 4) >> 6) << 4, (both >> 4) | (ByteAt(s12, s) >> 6) << 4};
}

void DecodeQ4KBlock(const std::byte* block, float* out) {
  const float d = HalfAt(block);
  const float d_min = HalfAt(block + 2);
  const std::byte* scales = block + 4;
  const std::byte* q = block + 16;
  for (int s = 0; s < 8; ++s) {
    const ScaleMin sm = UnpackScaleMin(scales, s);
    const float scale = d * static_cast<float>(sm.scale);
    const float min = d_min * static_cast<float>(sm.min);
    const unsigned shift = s % 2 == 0 ? 0 : 4;
    for (int l = 0; l < 32; ++l) {
      const unsigned nibble = ByteAt(q, 32 * (s / 2) + l) >> shift & 15u;
      out[32 * s + l] = scale * static_cast<float>(nibble) - min;
    }
  }
}

Status EncodeF16(std::span<const float> in, std::byte* out) {
  for (size_t i = 0; i < in.size(); ++i) {
    const uint16_t half = FloatToHalf(in[i]);
    if (std::isfinite(in[i]) && !std::isfinite(HalfToFloat(half)))
      return Fail(Code::kInvalidArgument, "element {} is {}, too large for f16", i, in[i]);
    StoreLe(out + 2 * i, half);
  }
  return {};
}

Status EncodeQ8(std::span<const float> in, std::byte* out) {
  for (size_t b = 0; b < in.size(); b += 32, out += 34) {
    float max = 0;
    for (size_t j = 0; j < 32; ++j) {
      if (!std::isfinite(in[b + j]))
        return Fail(Code::kInvalidArgument, "element {} is {}, expected a finite number", b + j,
                    in[b + j]);
      max = std::max(max, std::fabs(in[b + j]));
    }
    const float d = max / 127.0f;
    const float inverse = d != 0 ? 1.0f / d : 0.0f;
    const uint16_t half = FloatToHalf(d);
    if (!std::isfinite(HalfToFloat(half)))
      return Fail(Code::kInvalidArgument,
                  "elements from {}: values up to {} are too large for q8_0", b, max);
    StoreLe(out, half);
    // |x * inverse| can exceed 127 only when d is subnormal, where 1/d loses precision.
    for (size_t j = 0; j < 32; ++j)
      StoreLe(out + 2 + j,
              static_cast<int8_t>(std::clamp(std::round(in[b + j] * inverse), -127.0f, 127.0f)));
  }
  return {};
}

Status EncodeQ6(std::span<const float> in, std::byte* out) {
  for (size_t b = 0; b < in.size(); b += kQ6KElems, out += kQ6KBytes)
    if (auto status = EncodeQ6KBlock(in.subspan(b).first<kQ6KElems>(), out); !status)
      return Within(fmt::format("elements from {}", b), status.error());
  return {};
}

}  // namespace

const DTypeInfo& Info(DType type) { return kInfo[static_cast<size_t>(type)]; }

std::optional<DType> ParseDType(std::string_view name) {
  const auto same = [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); };
  for (size_t i = 0; i < kInfo.size(); ++i)
    if (std::equal(kInfo[i].name.begin(), kInfo[i].name.end(), name.begin(), name.end(), same))
      return static_cast<DType>(i);
  return std::nullopt;
}

Result<uint64_t> RowBytes(DType type, int64_t cols) {
  const DTypeInfo& info = Info(type);
  if (cols <= 0 || cols % info.block_elems != 0)
    return Fail(Code::kInvalidArgument, "a row of {} elements is not a multiple of the {} block {}",
                cols, info.name, info.block_elems);
  const auto bytes = CheckedMul(static_cast<uint64_t>(cols / info.block_elems),
                                static_cast<uint64_t>(info.block_bytes));
  if (!bytes) return Fail(Code::kInvalidArgument, "a row of {} elements is too large", cols);
  return *bytes;
}

void DecodeRow(DType type, const std::byte* bytes, std::span<float> out) {
  const DTypeInfo& info = Info(type);
  TERN_DCHECK(static_cast<int64_t>(out.size()) % info.block_elems == 0);
  const auto each_block = [&](auto decode) {
    for (size_t i = 0; i < out.size(); i += static_cast<size_t>(info.block_elems)) {
      decode(bytes, out.data() + i);
      bytes += info.block_bytes;
    }
  };
  switch (type) {
    case DType::kF32:
      if (!out.empty()) std::memcpy(out.data(), bytes, out.size_bytes());
      return;
    case DType::kF16:
      return each_block([](const std::byte* p, float* x) { *x = HalfAt(p); });
    case DType::kBF16:
      return each_block(
          [](const std::byte* p, float* x) { *x = Bf16ToFloat(LoadLe<uint16_t>(p)); });
    case DType::kQ8_0:
      return each_block(DecodeQ8Block);
    case DType::kQ4_0:
      return each_block(DecodeQ4Block);
    case DType::kQ4_K:
      return each_block(DecodeQ4KBlock);
    case DType::kQ6_K:
      return each_block(DecodeQ6KBlock);
  }
}

Status EncodeRow(DType type, std::span<const float> in, std::span<std::byte> out) {
  TERN_ASSIGN_OR_RETURN(const uint64_t bytes, RowBytes(type, static_cast<int64_t>(in.size())));
  if (out.size() != bytes)
    return Fail(Code::kInvalidArgument, "{} elements of {} take {} bytes, the buffer has {}",
                in.size(), Info(type).name, bytes, out.size());
  switch (type) {
    case DType::kF32:
      std::memcpy(out.data(), in.data(), in.size_bytes());
      return {};
    case DType::kF16:
      return EncodeF16(in, out.data());
    case DType::kBF16:
      for (size_t i = 0; i < in.size(); ++i) StoreLe(out.data() + 2 * i, FloatToBf16(in[i]));
      return {};
    case DType::kQ8_0:
      return EncodeQ8(in, out.data());
    case DType::kQ6_K:
      return EncodeQ6(in, out.data());
    case DType::kQ4_0:
    case DType::kQ4_K:
      break;
  }
  return Fail(Code::kUnsupported, "tern reads {} but does not write it", Info(type).name);
}

}  // namespace tern
