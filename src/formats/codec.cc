#include "formats/codec.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/check.h"
#include "formats/codecs/rows.h"

namespace tern {
namespace {

using namespace codecs;

constexpr std::array kTable = {
    &kI2sX86, &kTq1,    &kTq2,      &kQ2,         &kF32, &kF16,  &kBf16,  &kQ8,    &kQ6K,     &kQ4K,
    &kQ4,     &kI2sArm, &kI2sRows4, &kQ2Group128, &kPq2, &kPtq1, &kIq1Bn, &kIq2Bn, &kIq2BnR4,
};

}  // namespace

std::span<const Codec* const> AllCodecs() { return kTable; }

const Codec* FindCodec(std::string_view name) {
  const auto same = [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); };
  for (const Codec* codec : kTable)
    if (std::equal(codec->name.begin(), codec->name.end(), name.begin(), name.end(), same))
      return codec;
  return nullptr;
}

const Codec& DenseCodec(DType type) {
  const auto found = std::find_if(kTable.begin(), kTable.end(),
                                  [type](const Codec* c) { return c->dense == type; });
  TERN_CHECK(found != kTable.end());
  return **found;
}

}  // namespace tern
