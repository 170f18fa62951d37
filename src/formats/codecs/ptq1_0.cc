// PTQ1_0 of PrismML: 128 values in 28 bytes, base-3 like TQ1_0, scale last.
#include "formats/codecs/base3_planes.h"
#include "formats/codecs/block_codec.h"
#include "formats/codecs/rows.h"

namespace tern::codecs {
namespace {

struct Ptq1 {
  static constexpr std::string_view kTypeName = "PTQ1_0";
  static constexpr size_t kElems = 128;
  static constexpr size_t kBytes = 28;
  static constexpr size_t kScaleAt = 26;
  static constexpr Base3Area kAreas[] = {{0, 16, 0, 5}, {16, 8, 80, 5}, {24, 2, 120, 4}};

  static void Unpack(const std::byte* block, uint8_t* codes) {
    for (const Base3Area& area : kAreas) UnpackArea(area, block, codes);
  }
};

}  // namespace

constexpr Codec kPtq1 = BlockCodec<Ptq1, false>("ptq1_0", 143);

}  // namespace tern::codecs
