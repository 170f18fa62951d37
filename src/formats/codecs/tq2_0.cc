// TQ2_0 of upstream ggml: 256 values in 66 bytes, four planes of 2 bits in each half, scale last.
#include "formats/codecs/block_codec.h"
#include "formats/codecs/rows.h"

namespace tern::codecs {
namespace {

struct Tq2 {
  static constexpr std::string_view kTypeName = "TQ2_0";
  static constexpr size_t kElems = 256;
  static constexpr size_t kBytes = 66;
  static constexpr size_t kScaleAt = 64;
  static constexpr size_t kHalf = 128;      // elements of a half
  static constexpr size_t kHalfBytes = 32;  // byte m, bits 2l+1:2l -> element 32l + m of the half

  static void Unpack(const std::byte* block, uint8_t* codes) {
    for (size_t h = 0; h < kElems / kHalf; ++h)
      for (size_t l = 0; l < 4; ++l)
        for (size_t m = 0; m < kHalfBytes; ++m)
          codes[kHalf * h + kHalfBytes * l + m] = static_cast<uint8_t>(
              std::to_integer<unsigned>(block[kHalfBytes * h + m]) >> (2 * l) & 3u);
  }

  static void Pack(const uint8_t* codes, std::byte* block) {
    for (size_t h = 0; h < kElems / kHalf; ++h) {
      for (size_t m = 0; m < kHalfBytes; ++m) {
        unsigned byte = 0;
        for (size_t l = 0; l < 4; ++l)
          byte |= static_cast<unsigned>(codes[kHalf * h + kHalfBytes * l + m]) << (2 * l);
        block[kHalfBytes * h + m] = static_cast<std::byte>(byte);
      }
    }
  }
};

}  // namespace

constexpr Codec kTq2 = BlockCodec<Tq2, true>("tq2_0", 35);

}  // namespace tern::codecs
