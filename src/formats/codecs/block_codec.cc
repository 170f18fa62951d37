#include "formats/codecs/block_codec.h"

#include <algorithm>

namespace tern::codecs {

Result<uint64_t> BlockSpan(int64_t rows, int64_t cols, int64_t elems, int64_t bytes,
                           std::string_view type_name) {
  if (rows <= 0 || cols <= 0 || cols % elems != 0)
    return Fail(Code::kInvalidArgument,
                "found {} rows of {} columns, {} needs a multiple of {} columns", rows, cols,
                type_name, elems);
  const auto row = CheckedMul(static_cast<uint64_t>(cols / elems), static_cast<uint64_t>(bytes));
  const auto all = row ? CheckedMul(*row, static_cast<uint64_t>(rows)) : std::nullopt;
  if (!all)
    return Fail(Code::kInvalidArgument, "{} x {} values of {} are more bytes than 64 bits count",
                rows, cols, type_name);
  return *all;
}

Result<float> SharedScale(const TernaryMatrix& m, int64_t row, int64_t begin, int64_t count) {
  const float scale = m.ScaleAt(row, begin);
  if (m.scale().kind != ScaleKind::kGroup) return scale;
  for (int64_t c = begin + m.scale().group; c < begin + count; c += m.scale().group) {
    if (m.ScaleAt(row, c) == scale) continue;
    return Fail(Code::kUnsupported,
                "row {} has scale {} at column {} but {} at column {}; this type has one scale for "
                "{} columns, choose one with smaller groups",
                row, scale, begin, m.ScaleAt(row, c), c, count);
  }
  return scale;
}

Result<uint16_t> RoundScale(float scale, EncodeReport& report) {
  const uint16_t half = FloatToHalf(scale);
  const float stored = HalfToFloat(half);
  if (!std::isfinite(stored) || (stored == 0 && scale != 0))
    return Fail(Code::kUnsupported,
                "scale {} does not fit the 16-bit scales of this type; i2_s keeps 32 bits", scale);
  if (scale != 0)
    report.max_scale_error =
        std::max(report.max_scale_error, std::fabs((static_cast<double>(stored) - scale) / scale));
  return half;
}

}  // namespace tern::codecs
