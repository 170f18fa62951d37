#include "formats/hf_linear.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "formats/absmean.h"
#include "formats/hf_names.h"

namespace tern {
namespace {

constexpr int64_t kGroup = 128;

int64_t SourceRow(int64_t row, int64_t permute_head_dim) {
  return permute_head_dim == 0 ? row : PermutedRow(row, permute_head_dim);
}

/// The codes at `shift` of four neighbouring packed bytes, as one byte of four codes.
uint8_t GatherCodes(const std::byte* packed, int shift) {
  const uint32_t x = (LoadLe<uint32_t>(packed) >> shift) & 0x03030303u;
  return static_cast<uint8_t>(x | (x >> 6) | (x >> 12) | (x >> 18));
}

/// One row of codes, `cols` columns of the stripe at `shift`.
void UnpackRow(const std::byte* packed, int shift, int64_t cols, uint8_t* out) {
  const int64_t whole = cols / 4;
  for (int64_t b = 0; b < whole; ++b) out[b] = GatherCodes(packed + 4 * b, shift);
  if (cols % 4 == 0) return;
  std::byte last[4] = {};
  std::copy(packed + 4 * whole, packed + cols, last);
  out[whole] = GatherCodes(last, shift);  // FromCodes sets the unused codes
}

RowReader FloatRows(const HfLinear& linear) {
  return [&linear](int64_t row, std::span<float> out) {
    const DType type = *FloatType(linear.weight->type);
    const auto row_bytes = linear.weight->bytes.size() / static_cast<size_t>(linear.rows);
    const int64_t source = SourceRow(row, linear.permute_head_dim);
    DecodeRow(type, linear.weight->bytes.data() + static_cast<size_t>(source) * row_bytes, out);
  };
}

Result<float> ReadScale(const HfLinear& linear) {
  const SafetensorsTensor& tensor = *linear.weight_scale;
  float stored = 0;
  DecodeRow(*FloatType(tensor.type), tensor.bytes.data(), std::span(&stored, 1));
  const float scale = linear.divide ? 1.0f / stored : stored;
  // Zero and infinity fail for both rules; a negative scale is no mean of magnitudes.
  if (!(stored > 0) || !std::isfinite(stored) || !std::isfinite(scale))
    return Fail(Code::kCorrupt, "weight_scale is {}, expected a positive finite number", stored);
  return scale;
}

Result<TernaryMatrix> ReadCodes(const HfLinear& linear, float scale) {
  const RowReader read = FloatRows(linear);
  std::vector<float> row(static_cast<size_t>(linear.cols));
  for (int64_t r = 0; r < linear.rows; ++r) {
    read(r, row);
    const auto bad =
        std::find_if(row.begin(), row.end(), [](float v) { return v != 0 && v != 1 && v != -1; });
    if (bad != row.end())
      return Fail(Code::kCorrupt,
                  "row {}, column {}: found {}, expected -1, 0 or 1 beside a weight_scale", r,
                  bad - row.begin(), *bad);
  }
  return CodeBySign(linear.rows, linear.cols, read, 1.0f, 0.0f, ScaleSpec::Tensor(scale));
}

Result<TernaryMatrix> ReadGroups(const HfLinear& linear) {
  const int64_t group = linear.cols % kGroup == 0 ? kGroup : linear.cols;
  auto matrix = RecognizeTernary(linear.rows, linear.cols, group, FloatRows(linear));
  if (matrix || matrix.error().code != Code::kUnsupported) return matrix;
  return Fail(Code::kUnsupported,
              "{}: this is a dense model; tern runs ternary ones: packed or master weights with a "
              "bitnet quantization_config, or weights that are ternary in groups of {}",
              matrix.error().message, kGroup);
}

Status ExpectShape(const SafetensorsTensor& tensor, int64_t rows, int64_t cols) {
  if (tensor.shape == std::vector<int64_t>{rows, cols}) return {};
  return Fail(Code::kCorrupt, "found {} {}, expected [{}, {}]", Name(tensor.type),
              ShapeText(tensor.shape), rows, cols);
}

Status CheckWeightScale(const HfLinear& linear) {
  const SafetensorsTensor* scale = linear.weight_scale;
  if (!scale)
    return Fail(Code::kNotFound, "the weight_scale that belongs to {} weights is missing",
                Name(linear.weight->type));
  const bool one =
      std::all_of(scale->shape.begin(), scale->shape.end(), [](int64_t d) { return d == 1; });
  if (!one || !FloatType(scale->type))
    return Fail(Code::kUnsupported,
                "weight_scale: found {} {}, expected one value of F32, F16 or BF16",
                Name(scale->type), ShapeText(scale->shape));
  return {};
}

}  // namespace

std::optional<DType> FloatType(SafetensorsType type) {
  switch (type) {
    case SafetensorsType::kF32:
      return DType::kF32;
    case SafetensorsType::kF16:
      return DType::kF16;
    case SafetensorsType::kBF16:
      return DType::kBF16;
    default:
      return std::nullopt;
  }
}

Status ClassifyLinear(const HfConfig& config, HfLinear& linear) {
  const SafetensorsTensor& weight = *linear.weight;
  const bool offline = config.quantization == HfQuantization::kMultiply ||
                       config.quantization == HfQuantization::kDivide;
  linear.divide = config.quantization == HfQuantization::kDivide;
  if (weight.type == SafetensorsType::kU8) {
    linear.form = HfLinearForm::kPacked;
    // Without it nothing says whether to multiply or to divide by weight_scale.
    if (!offline)
      return Fail(Code::kCorrupt,
                  "packed weights, but config.json has no quantization_config for them");
    TERN_TRY(ExpectShape(weight, (linear.rows + 3) / 4, linear.cols));
    return CheckWeightScale(linear);
  }
  if (!FloatType(weight.type))
    return Fail(Code::kUnsupported, "found {}, expected U8 (packed), F32, F16 or BF16",
                Name(weight.type));
  TERN_TRY(ExpectShape(weight, linear.rows, linear.cols));
  if (offline) {
    linear.form = HfLinearForm::kCodes;
    return CheckWeightScale(linear);
  }
  const bool master =
      config.quantization == HfQuantization::kOnline || config.family == HfFamily::kBitNet;
  linear.form = master ? HfLinearForm::kMaster : HfLinearForm::kGroups;
  return {};
}

std::string FormText(const HfLinear& linear) {
  static constexpr std::string_view kForms[] = {"packed", "codes", "master", "groups"};
  return fmt::format("{} {}", Name(linear.weight->type), kForms[static_cast<size_t>(linear.form)]);
}

Result<TernaryMatrix> ReadLinear(const HfLinear& linear) {
  if (linear.form == HfLinearForm::kMaster)
    return QuantizeAbsmean(linear.rows, linear.cols, FloatRows(linear));
  if (linear.form == HfLinearForm::kGroups) return ReadGroups(linear);
  TERN_ASSIGN_OR_RETURN(const float scale, ReadScale(linear));
  if (linear.form == HfLinearForm::kCodes) return ReadCodes(linear, scale);
  return UnpackHf(linear.weight->bytes, linear.rows, linear.cols, linear.permute_head_dim, scale);
}

Result<TernaryMatrix> UnpackHf(std::span<const std::byte> packed, int64_t rows, int64_t cols,
                               int64_t permute_head_dim, float scale) {
  const int64_t stripe = (rows + 3) / 4;
  const size_t row_bytes = TernaryMatrix::RowBytes(cols);
  std::vector<uint8_t> codes(static_cast<size_t>(rows) * row_bytes);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t source = SourceRow(r, permute_head_dim);
    const std::byte* from = packed.data() + (source % stripe) * cols;
    UnpackRow(from, static_cast<int>(2 * (source / stripe)), cols,
              codes.data() + static_cast<size_t>(r) * row_bytes);
  }
  return TernaryMatrix::FromCodes(rows, cols, std::move(codes), ScaleSpec::Tensor(scale));
}

}  // namespace tern
