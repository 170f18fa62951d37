// The BitNet types of ik_llama.cpp. Every row (in the R4 type: every four rows) starts with its
// scales, so rows are no multiple of a block.
#include <array>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/float16.h"
#include "base/math.h"
#include "formats/codecs/base3.h"
#include "formats/codecs/rows.h"

namespace tern::codecs {
namespace {

constexpr size_t kElems = 64;

unsigned ByteAt(const std::byte* p, size_t i) { return std::to_integer<unsigned>(p[i]); }

// A format describes `kRows` rows that are stored together: kScaleBytes of scales, then kBytes for
// each 64 columns.

// Three bytes for 15 of each 16 values, least significant digit first; a 13th byte collects the
// four left over.
struct Iq1 {
  static constexpr std::string_view kTypeName = "IQ1_BN";
  static constexpr size_t kRows = 1;
  static constexpr size_t kScaleBytes = 2;
  static constexpr size_t kBytes = 13;

  static float Scale(const std::byte* p, size_t) { return HalfToFloat(LoadLe<uint16_t>(p)); }
  static void Unpack(const std::byte* block, size_t, uint8_t* codes) {
    for (size_t g = 0; g < 4; ++g) {
      for (size_t k = 0; k < 3; ++k)
        for (size_t j = 0; j < 5; ++j)
          codes[16 * g + 5 * k + j] = Base3Digit(ByteAt(block, 3 * g + k), 4 - static_cast<int>(j));
      codes[16 * g + 15] = Base3Digit(ByteAt(block, 12), 4 - static_cast<int>(g));
    }
  }
};

// Byte j, bits 2l+1:2l -> value 16l + j.
struct Iq2 {
  static constexpr std::string_view kTypeName = "IQ2_BN";
  static constexpr size_t kRows = 1;
  static constexpr size_t kScaleBytes = 4;
  static constexpr size_t kBytes = 16;

  static float Scale(const std::byte* p, size_t) { return LoadLe<float>(p); }
  static void Unpack(const std::byte* block, size_t, uint8_t* codes) {
    for (size_t i = 0; i < kElems; ++i)
      codes[i] = static_cast<uint8_t>(ByteAt(block, i % 16) >> (2 * (i / 16)) & 3u);
  }
};

// Byte 16l + 4k + i, bits 2s+1:2s -> row k, value 16l + 4s + i.
struct Iq2R4 {
  static constexpr std::string_view kTypeName = "IQ2_BN_R4";
  static constexpr size_t kRows = 4;
  static constexpr size_t kScaleBytes = 16;
  static constexpr size_t kBytes = 64;

  static float Scale(const std::byte* p, size_t k) { return LoadLe<float>(p + 4 * k); }
  static void Unpack(const std::byte* block, size_t k, uint8_t* codes) {
    for (size_t e = 0; e < kElems; ++e)
      codes[e] = static_cast<uint8_t>(
          ByteAt(block, 16 * (e / 16) + 4 * k + e % 4) >> (2 * (e / 4 % 4)) & 3u);
  }
};

template <class F>
constexpr uint64_t GroupBytes(int64_t cols) {
  return F::kScaleBytes + static_cast<uint64_t>(cols) / kElems * F::kBytes;
}

template <class F>
Result<uint64_t> ByteSpan(int64_t rows, int64_t cols) {
  if (rows <= 0 || cols <= 0 || static_cast<uint64_t>(rows) % F::kRows != 0 ||
      static_cast<uint64_t>(cols) % kElems != 0)
    return Fail(Code::kInvalidArgument,
                "found {} rows of {} columns, {} needs multiples of {} rows and {} columns", rows,
                cols, F::kTypeName, F::kRows, kElems);
  const auto all = CheckedMul(GroupBytes<F>(cols), static_cast<uint64_t>(rows) / F::kRows);
  if (!all)
    return Fail(Code::kInvalidArgument, "{} x {} values of {} are more bytes than 64 bits count",
                rows, cols, F::kTypeName);
  return *all;
}

// Calls visit(row, scale, codes of that row) for every row.
template <class F, class Visit>
void ForEachRow(int64_t rows, int64_t cols, std::span<const std::byte> bytes, Visit visit) {
  std::vector<uint8_t> codes(static_cast<size_t>(cols));
  for (size_t r = 0; r < static_cast<size_t>(rows); ++r) {
    const std::byte* group = bytes.data() + r / F::kRows * GroupBytes<F>(cols);
    const size_t k = r % F::kRows;
    const std::byte* block = group + F::kScaleBytes;
    for (size_t c = 0; c < codes.size(); c += kElems, block += F::kBytes)
      F::Unpack(block, k, codes.data() + c);
    visit(r, F::Scale(group, k), codes);
  }
}

template <class F>
Status Decode(int64_t rows, int64_t cols, std::span<const std::byte> bytes, std::span<float> out) {
  float* x = out.data();
  ForEachRow<F>(rows, cols, bytes, [&x](size_t, float d, const std::vector<uint8_t>& codes) {
    for (const uint8_t code : codes) *x++ = d * static_cast<float>(code - 1);
  });
  return {};
}

template <class F>
Result<TernaryMatrix> DecodeTernary(int64_t rows, int64_t cols, std::span<const std::byte> bytes) {
  const size_t row_bytes = TernaryMatrix::RowBytes(cols);
  std::vector<uint8_t> packed(static_cast<size_t>(rows) * row_bytes);
  ScaleSpec scale{ScaleKind::kRow, 0, std::vector<float>(static_cast<size_t>(rows))};
  ForEachRow<F>(rows, cols, bytes, [&](size_t r, float d, const std::vector<uint8_t>& codes) {
    PackCodes(codes, packed.data() + r * row_bytes);
    scale.values[r] = d;
  });
  return TernaryMatrix::FromCodes(rows, cols, std::move(packed), std::move(scale));
}

template <class F>
constexpr Codec IqRow(std::string_view name, uint32_t id) {
  return {name,      F::kTypeName,     id,     std::nullopt, kElems, ByteSpan<F>,
          Decode<F>, DecodeTernary<F>, nullptr};
}

}  // namespace

constexpr Codec kIq1Bn = IqRow<Iq1>("iq1_bn", 134);
constexpr Codec kIq2Bn = IqRow<Iq2>("iq2_bn", 135);
constexpr Codec kIq2BnR4 = IqRow<Iq2R4>("iq2_bn_r4", 335);

}  // namespace tern::codecs
