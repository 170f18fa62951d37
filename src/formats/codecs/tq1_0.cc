// TQ1_0 of upstream ggml: 256 values in 54 bytes, base-3, scale last.
#include "formats/codecs/base3_planes.h"
#include "formats/codecs/block_codec.h"
#include "formats/codecs/rows.h"

namespace tern::codecs {
namespace {

struct Tq1 {
  static constexpr std::string_view kTypeName = "TQ1_0";
  static constexpr size_t kElems = 256;
  static constexpr size_t kBytes = 54;
  static constexpr size_t kScaleAt = 52;
  static constexpr Base3Area kAreas[] = {{0, 32, 0, 5}, {32, 16, 160, 5}, {48, 4, 240, 4}};

  static void Unpack(const std::byte* block, uint8_t* codes) {
    for (const Base3Area& area : kAreas) UnpackArea(area, block, codes);
  }
  static void Pack(const uint8_t* codes, std::byte* block) {
    for (const Base3Area& area : kAreas) PackArea(area, codes, block);
  }
};

}  // namespace

constexpr Codec kTq1 = BlockCodec<Tq1, true>("tq1_0", 34);

}  // namespace tern::codecs
