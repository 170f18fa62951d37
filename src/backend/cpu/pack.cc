#include "backend/cpu/pack.h"

#include <algorithm>

#include "base/math.h"

namespace tern::cpu {
namespace {

constexpr uint8_t kFourZeros = 0x55;  // code 1, weight 0, four times

size_t Index(int64_t i) { return static_cast<size_t>(i); }

}  // namespace

Result<PackedMatrix> PackN16k4(const TernaryMatrix& matrix) {
  PackedMatrix packed;
  packed.rows = matrix.rows();
  packed.cols = matrix.cols();
  const ScaleSpec& scale = matrix.scale();
  packed.group = scale.kind == ScaleKind::kGroup ? scale.group : packed.cols;
  packed.groups = packed.cols / packed.group;
  if (packed.groups > 1 && packed.group % (kStepCols * kStepsPerPad) != 0)
    return Fail(Code::kUnsupported, "scales over groups of {} inputs, expected a multiple of {}",
                packed.group, kStepCols * kStepsPerPad);
  packed.steps =
      (packed.cols + kStepCols * kStepsPerPad - 1) / (kStepCols * kStepsPerPad) * kStepsPerPad;
  packed.codes.assign(Index(packed.tiles() * packed.steps * kStepBytes), kFourZeros);
  packed.scales.assign(Index(packed.tiles() * packed.groups * kTileRows), 0.0f);

  std::vector<int8_t> row(Index(packed.steps * kStepCols), 0);
  for (int64_t r = 0; r < packed.rows; ++r) {
    matrix.UnpackRow(r, std::span(row).first(Index(packed.cols)));
    const int64_t tile = r / kTileRows, lane = r % kTileRows;
    uint8_t* codes = packed.codes.data() + tile * packed.steps * kStepBytes + lane * 4;
    for (int64_t s = 0; s < packed.steps; ++s) {
      const int8_t* from = row.data() + s * kStepCols;
      for (int64_t j = 0; j < 4; ++j) {
        unsigned byte = 0;
        for (unsigned p = 0; p < 4; ++p)
          byte |= static_cast<unsigned>(from[4 * p + Index(j)] + 1) << (2 * p);
        codes[s * kStepBytes + j] = static_cast<uint8_t>(byte);
      }
    }
    for (int64_t g = 0; g < packed.groups; ++g)
      packed.scales[Index((tile * packed.groups + g) * kTileRows + lane)] =
          matrix.ScaleAt(r, g * packed.group);
  }
  return packed;
}

void UnpackRow(const PackedMatrix& matrix, int64_t row, int8_t* out) {
  const uint8_t* codes =
      matrix.codes.data() + row / kTileRows * matrix.steps * kStepBytes + row % kTileRows * 4;
  for (int64_t c = 0; c < matrix.cols; ++c) {
    const int64_t in_step = c % kStepCols;
    const unsigned byte = codes[c / kStepCols * kStepBytes + in_step % 4];
    out[c] = static_cast<int8_t>(static_cast<int>((byte >> (2 * (in_step / 4))) & 3u) - 1);
  }
}

}  // namespace tern::cpu
