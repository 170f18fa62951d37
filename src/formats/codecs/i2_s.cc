// I2_S of bitnet.cpp: the whole matrix is one sequence of 2-bit codes without row borders, then one
// float32 scale in a tail of 32 bytes whose rest is undefined. Three orders of the codes exist and
// nothing in a file tells them apart.
#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/math.h"
#include "formats/codecs/rows.h"

namespace tern::codecs {
namespace {

constexpr size_t kTailBytes = 32;
constexpr size_t kUnit = 128;  // every writer packs whole units of 128 values

// An order of codes is a reader that hands out the codes row by row, from the first on.

// The sequence in blocks of 4 * kStride values: byte m holds values m, m + kStride, .. from the top
// bits down.
template <size_t kStride>
class Planes {
 public:
  static constexpr size_t kElems = 4 * kStride;
  static constexpr int64_t kRowMultiple = 1;

  explicit Planes(std::span<const std::byte> bytes) : next_(bytes.data()) {}

  // A block may end one row and begin the next, or hold several.
  void NextRow(std::span<uint8_t> row) {
    while (!row.empty()) {
      if (used_ == kElems) {
        Unpack(next_, codes_.data());
        next_ += kStride;
        used_ = 0;
      }
      const size_t take = std::min(row.size(), kElems - used_);
      std::copy_n(codes_.data() + used_, take, row.data());
      used_ += take;
      row = row.subspan(take);
    }
  }

  static void Unpack(const std::byte* block, uint8_t* codes) {
    for (size_t l = 0; l < 4; ++l)
      for (size_t m = 0; m < kStride; ++m)
        codes[l * kStride + m] =
            static_cast<uint8_t>(std::to_integer<unsigned>(block[m]) >> (6 - 2 * l) & 3u);
  }

  // A block as kStride bytes of TernaryMatrix's storage, four neighbours in a byte. The product
  // gathers the lowest two bits of four bytes in the topmost byte.
  static void Repack(const std::byte* block, uint8_t* storage) {
    constexpr uint32_t kGather = 1u << 24 | 1u << 18 | 1u << 12 | 1u << 6;
    for (size_t l = 0; l < 4; ++l) {
      for (size_t m = 0; m < kStride; m += 4) {
        const uint32_t codes = LoadLe<uint32_t>(block + m) >> (6 - 2 * l) & 0x03030303u;
        *storage++ = static_cast<uint8_t>(codes * kGather >> 24);
      }
    }
  }

  // Where rows end at byte borders of the storage, they follow each other in it without a gap.
  static bool RepackAll(std::span<const std::byte> bytes, int64_t cols,
                        std::span<uint8_t> storage) {
    if (cols % 4 != 0) return false;
    for (size_t at = 0; at < storage.size(); at += kStride)
      Repack(bytes.data() + at, storage.data() + at);
    return true;
  }

  static void Pack(const uint8_t* codes, std::byte* block) {
    for (size_t m = 0; m < kStride; ++m) {
      unsigned byte = 0;
      for (size_t l = 0; l < 4; ++l) byte = byte << 2 | codes[l * kStride + m];
      block[m] = static_cast<std::byte>(byte);
    }
  }

 private:
  const std::byte* next_;
  std::array<uint8_t, kElems> codes_{};
  size_t used_ = kElems;
};

// Byte r * cols + c holds rows 4r .. 4r+3 of column c from the top bits down.
class Rows4 {
 public:
  static constexpr int64_t kRowMultiple = 4;

  explicit Rows4(std::span<const std::byte> bytes) : group_(bytes.data()) {}

  static bool RepackAll(std::span<const std::byte>, int64_t, std::span<uint8_t>) { return false; }

  void NextRow(std::span<uint8_t> row) {
    for (size_t c = 0; c < row.size(); ++c)
      row[c] = static_cast<uint8_t>(std::to_integer<unsigned>(group_[c]) >> shift_ & 3u);
    if (shift_ == 0) group_ += row.size();
    shift_ = (shift_ + 6) % 8;
  }

 private:
  const std::byte* group_;
  unsigned shift_ = 6;
};

template <class Layout>
Result<uint64_t> ByteSpan(int64_t rows, int64_t cols) {
  const auto n = rows > 0 && cols > 0
                     ? CheckedMul(static_cast<uint64_t>(rows), static_cast<uint64_t>(cols))
                     : std::nullopt;
  if (!n || *n % kUnit != 0)
    return Fail(Code::kInvalidArgument,
                "found {} x {} values, I2_S needs a multiple of {} in all (its writers drop the "
                "rest)",
                rows, cols, kUnit);
  if (rows % Layout::kRowMultiple != 0)
    return Fail(Code::kInvalidArgument, "found {} rows, this layout of I2_S needs a multiple of {}",
                rows, Layout::kRowMultiple);
  return *n / 4 + kTailBytes;
}

template <class Layout>
Result<TernaryMatrix> DecodeTernary(int64_t rows, int64_t cols, std::span<const std::byte> bytes) {
  const size_t row_bytes = TernaryMatrix::RowBytes(cols);
  std::vector<uint8_t> packed(static_cast<size_t>(rows) * row_bytes);
  if (!Layout::RepackAll(bytes, cols, packed)) {
    std::vector<uint8_t> codes(static_cast<size_t>(cols));
    Layout layout(bytes);
    for (int64_t r = 0; r < rows; ++r) {
      layout.NextRow(codes);
      PackCodes(codes, packed.data() + static_cast<size_t>(r) * row_bytes);
    }
  }
  const auto scale = LoadLe<float>(bytes.data() + bytes.size() - kTailBytes);
  return TernaryMatrix::FromCodes(rows, cols, std::move(packed), ScaleSpec::Tensor(scale));
}

template <class Layout>
Status Decode(int64_t rows, int64_t cols, std::span<const std::byte> bytes, std::span<float> out) {
  TERN_ASSIGN_OR_RETURN(const TernaryMatrix m, DecodeTernary<Layout>(rows, cols, bytes));
  for (int64_t r = 0; r < rows; ++r)
    m.DequantizeRow(r, out.subspan(static_cast<size_t>(r * cols), static_cast<size_t>(cols)));
  return {};
}

Result<float> OneScale(const ScaleSpec& scale) {
  for (const float value : scale.values)
    if (value != scale.values[0])
      return Fail(Code::kUnsupported,
                  "I2_S has one scale for the whole matrix, this one has {} and {}; choose a type "
                  "with group scales (tq1_0, tq2_0, q2_0)",
                  scale.values[0], value);
  return scale.values[0];
}

Result<EncodeReport> Encode(const TernaryMatrix& m, std::span<std::byte> out) {
  using Layout = Planes<32>;
  TERN_ASSIGN_OR_RETURN(const uint64_t bytes, ByteSpan<Layout>(m.rows(), m.cols()));
  if (out.size() != bytes)
    return Fail(Code::kInvalidArgument, "I2_S needs {} bytes, the buffer has {}", bytes,
                out.size());
  TERN_ASSIGN_OR_RETURN(const float scale, OneScale(m.scale()));

  std::vector<int8_t> row(static_cast<size_t>(m.cols()));
  std::array<uint8_t, Layout::kElems> block;
  size_t filled = 0;
  std::byte* next = out.data();
  for (int64_t r = 0; r < m.rows(); ++r) {
    m.UnpackRow(r, row);
    for (const int8_t q : row) {
      block[filled++] = static_cast<uint8_t>(q + 1);
      if (filled < block.size()) continue;
      Layout::Pack(block.data(), next);
      next += block.size() / 4;
      filled = 0;
    }
  }
  std::fill(out.end() - kTailBytes, out.end(), std::byte{0});
  StoreLe(&*(out.end() - kTailBytes), scale);
  return EncodeReport{};
}

template <class Layout>
constexpr Codec I2sRow(std::string_view name,
                       Result<EncodeReport> (*encode)(const TernaryMatrix&, std::span<std::byte>)) {
  return {name,
          "I2_S",
          36,
          std::nullopt,
          kUnit,
          ByteSpan<Layout>,
          Decode<Layout>,
          DecodeTernary<Layout>,
          encode};
}

}  // namespace

constexpr Codec kI2sX86 = I2sRow<Planes<32>>("i2_s", Encode);
constexpr Codec kI2sArm = I2sRow<Planes<16>>("i2_s_arm", nullptr);
constexpr Codec kI2sRows4 = I2sRow<Rows4>("i2_s_rows4", nullptr);

}  // namespace tern::codecs
