// Q2_0 of upstream ggml (64 values, 18 bytes), and the same with groups of 128 (34 bytes):
// PrismML's PQ2_0, which its older files carry under the id of Q2_0. Scale first, then four
// neighbouring values in a byte.
#include "formats/codecs/block_codec.h"
#include "formats/codecs/rows.h"

namespace tern::codecs {
namespace {

template <size_t kGroup>
struct Q2Block {
  static constexpr size_t kElems = kGroup;
  static constexpr size_t kScaleAt = 0;
  static constexpr size_t kCodesAt = 2;
  static constexpr size_t kBytes = kCodesAt + kGroup / 4;

  static void Unpack(const std::byte* block, uint8_t* codes) {
    for (size_t b = 0; b < kGroup / 4; ++b) {
      const auto byte = std::to_integer<unsigned>(block[kCodesAt + b]);
      for (size_t k = 0; k < 4; ++k) codes[4 * b + k] = static_cast<uint8_t>(byte >> (2 * k) & 3u);
    }
  }
  // The order is that of the canonical storage.
  static void Pack(const uint8_t* codes, std::byte* block) {
    PackCodes({codes, kGroup}, reinterpret_cast<uint8_t*>(block + kCodesAt));
  }
};

struct Q2 : Q2Block<64> {
  static constexpr std::string_view kTypeName = "Q2_0";
};
struct Q2Group128 : Q2Block<128> {
  static constexpr std::string_view kTypeName = "Q2_0 (group 128)";
};
struct Pq2 : Q2Block<128> {
  static constexpr std::string_view kTypeName = "PQ2_0";
};

}  // namespace

constexpr Codec kQ2 = BlockCodec<Q2, true>("q2_0", 42);
constexpr Codec kQ2Group128 = BlockCodec<Q2Group128, false>("q2_0_g128", 42);
constexpr Codec kPq2 = BlockCodec<Pq2, false>("pq2_0", 142);

}  // namespace tern::codecs
