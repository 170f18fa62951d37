#include "formats/gguf_types.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/math.h"

namespace tern {
namespace {

constexpr std::string_view kReadable =
    "tern reads ternary types (i2_s, tq1_0, tq2_0, q2_0, pq2_0, ptq1_0, iq1_bn, iq2_bn, iq2_bn_r4) "
    "and f32, f16, "
    "bf16, q8_0, q6_k, q4_k, q4_0; convert the original checkpoint again with one of these";
constexpr std::string_view kOtherQuant = "it is not ternary, and tern has no decoder for it";
constexpr std::string_view kActivations = "it is a type for activations, not for weights";
constexpr std::string_view kBinary =
    "its weights are -d and +d without a zero, and tern runs ternary models";
constexpr std::string_view kTiled =
    "its byte order depends on tile sizes that were chosen when its writer was built and that the "
    "file does not "
    "store";
constexpr std::string_view kOldFork = "only an early fork wrote it";
constexpr std::string_view kRemoved = "it was removed from GGUF in 2024";

using SizeFunction = std::optional<uint64_t> (*)(uint64_t rows, uint64_t cols);

template <uint64_t kElems, uint64_t kBytes>
std::optional<uint64_t> Blocks(uint64_t rows, uint64_t cols) {
  if (cols % kElems != 0) return std::nullopt;
  const auto row = CheckedMul(cols / kElems, kBytes);
  return row ? CheckedMul(*row, rows) : std::nullopt;
}

constexpr uint64_t kTlTailBytes = 32;

std::optional<uint64_t> Tl1Size(uint64_t rows, uint64_t cols) {
  return CheckedAdd(rows * cols / 4, kTlTailBytes);
}

// Triples in 5 bits for all columns but 256, pairs in 4 bits for these, and the tail.
std::optional<uint64_t> Tl2Size(uint64_t rows, uint64_t cols) {
  constexpr uint64_t kPairColumns = 256;
  if (cols < kPairColumns) return std::nullopt;
  const auto triples = CheckedMul((cols - kPairColumns) * rows / 3, 5);
  const auto pairs = CheckedMul(kPairColumns * rows / 2, 4);
  if (!triples || !pairs) return std::nullopt;
  return AlignUp(*triples / 8 + *pairs / 8, kTlTailBytes) + kTlTailBytes;
}

// A type that is known by name and size but not read.
struct RefusedType {
  uint32_t id;
  std::string_view name;
  SizeFunction size;
  std::string_view reason;
};

constexpr RefusedType kRefused[] = {
    {3, "Q4_1", Blocks<32, 20>, kOtherQuant},      {6, "Q5_0", Blocks<32, 22>, kOtherQuant},
    {7, "Q5_1", Blocks<32, 24>, kOtherQuant},      {9, "Q8_1", Blocks<32, 36>, kActivations},
    {10, "Q2_K", Blocks<256, 84>, kOtherQuant},    {11, "Q3_K", Blocks<256, 110>, kOtherQuant},
    {13, "Q5_K", Blocks<256, 176>, kOtherQuant},   {15, "Q8_K", Blocks<256, 292>, kActivations},
    {16, "IQ2_XXS", Blocks<256, 66>, kOtherQuant}, {17, "IQ2_XS", Blocks<256, 74>, kOtherQuant},
    {18, "IQ3_XXS", Blocks<256, 98>, kOtherQuant}, {19, "IQ1_S", Blocks<256, 50>, kOtherQuant},
    {20, "IQ4_NL", Blocks<32, 18>, kOtherQuant},   {21, "IQ3_S", Blocks<256, 110>, kOtherQuant},
    {22, "IQ2_S", Blocks<256, 82>, kOtherQuant},   {23, "IQ4_XS", Blocks<256, 136>, kOtherQuant},
    {24, "I8", Blocks<1, 1>, kOtherQuant},         {25, "I16", Blocks<1, 2>, kOtherQuant},
    {26, "I32", Blocks<1, 4>, kOtherQuant},        {27, "I64", Blocks<1, 8>, kOtherQuant},
    {28, "F64", Blocks<1, 8>, kOtherQuant},        {29, "IQ1_M", Blocks<256, 56>, kOtherQuant},
    {36, "IQ4_NL_4_4", Blocks<32, 18>, kRemoved},  {38, "TL1", Tl1Size, kTiled},
    {39, "MXFP4", Blocks<32, 17>, kOtherQuant},    {39, "TL2", Tl2Size, kTiled},
    {40, "NVFP4", Blocks<64, 36>, kOtherQuant},    {40, "Q1_0 (group 32)", Blocks<32, 6>, kOldFork},
    {41, "Q1_0", Blocks<128, 18>, kBinary},        {42, "TL2", Tl2Size, kTiled},
    {133, "Q6_0", Blocks<32, 26>, kOtherQuant},    {136, "Q8_K64", Blocks<64, 68>, kActivations},
};

struct RemovedId {
  uint32_t id;
  std::string_view name;
};
constexpr RemovedId kRemovedIds[] = {{4, "Q4_2"},      {5, "Q4_3"},
                                     {31, "Q4_0_4_4"}, {32, "Q4_0_4_8"},
                                     {33, "Q4_0_8_8"}, {37, "IQ4_NL_4_8 or I8_S"}};

std::string_view I2sName(I2sLayout layout) {
  switch (layout) {
    case I2sLayout::kX86:
      break;
    case I2sLayout::kArm:
      return "i2_s_arm";
    case I2sLayout::kRows4:
      return "i2_s_rows4";
  }
  return "i2_s";
}

// Meanings of an id with a size for this shape, and the complaint of one that has none.
struct Meanings {
  std::vector<GgufType> fitting_shape;
  std::optional<Error> complaint;
  bool any = false;
};

GgufType Refused(const RefusedType& type, uint64_t bytes) {
  return {std::string(type.name),
          nullptr,
          fmt::format("type {} can't be used: {}; {}", type.name, type.reason, kReadable),
          bytes,
          {}};
}

Meanings MeaningsOf(const GgufPlace& place, I2sLayout layout) {
  Meanings m;
  const Codec* const i2s = FindCodec(I2sName(layout));
  for (const Codec* codec : AllCodecs()) {
    if (codec->type_id != place.type_id || (codec->type_id == i2s->type_id && codec != i2s))
      continue;
    m.any = true;
    auto bytes = codec->byte_span(place.rows, place.cols);
    if (bytes)
      m.fitting_shape.push_back({std::string(codec->type_name), codec, {}, *bytes, {}});
    else if (!m.complaint)
      m.complaint = std::move(bytes.error());
  }
  for (const RefusedType& type : kRefused) {
    if (type.id != place.type_id) continue;
    m.any = true;
    const auto bytes =
        type.size(static_cast<uint64_t>(place.rows), static_cast<uint64_t>(place.cols));
    if (bytes)
      m.fitting_shape.push_back(Refused(type, *bytes));
    else if (!m.complaint)
      m.complaint = Error{Code::kCorrupt, fmt::format("{} rows of {} columns do not suit {}",
                                                      place.rows, place.cols, type.name)};
  }
  return m;
}

// Whether a tensor of that size ends where the next one begins, give or take the padding. (Offsets
// are multiples of the alignment, so that before another tensor the padding is always whole.)
bool FillsRoom(const GgufPlace& place, uint64_t bytes) {
  const uint64_t padding = (place.alignment - bytes % place.alignment) % place.alignment;
  return bytes <= place.room && place.room - bytes <= padding;
}

tl::unexpected<Error> NoSuchType(uint32_t id) {
  for (const RemovedId& removed : kRemovedIds)
    if (removed.id == id)
      return Fail(Code::kUnsupported, "found type id {} ({}), which was removed from GGUF; {}", id,
                  removed.name, kReadable);
  return Fail(Code::kCorrupt, "found type id {}, which no format has; {}", id, kReadable);
}

tl::unexpected<Error> FitsNone(const GgufPlace& place, const Meanings& m) {
  std::string sizes;
  for (const GgufType& type : m.fitting_shape)
    sizes += fmt::format("{}{} as {}", sizes.empty() ? "" : ", ", type.bytes, type.name);
  return Fail(
      Code::kCorrupt,
      "type id {} has several meanings and the {} bytes {} fit none: {} x {} values take {}{}{}",
      place.type_id, place.room, place.last ? "up to the end of the file" : "up to the next tensor",
      place.rows, place.cols, sizes, m.complaint ? "; " : "",
      m.complaint ? m.complaint->message : "");
}

// The name of I2_S is the only one for its id in files that still exist.
bool IsDefault(const GgufType& type) { return type.codec && type.name == "I2_S"; }

}  // namespace

Result<GgufType> ResolveGgufType(const GgufPlace& place, I2sLayout i2s_layout) {
  Meanings m = MeaningsOf(place, i2s_layout);
  std::vector<GgufType>& types = m.fitting_shape;
  if (!m.any) return NoSuchType(place.type_id);
  if (types.empty()) return Fail(Code::kCorrupt, "{}", m.complaint->message);
  if (types.size() == 1 && !m.complaint) return std::move(types[0]);

  std::vector<const GgufType*> exact;
  for (const GgufType& type : types)
    if (FillsRoom(place, type.bytes)) exact.push_back(&type);
  if (exact.size() == 1) return *exact[0];
  if (exact.empty()) {
    const auto fallback = std::find_if(types.begin(), types.end(), IsDefault);
    if (fallback != types.end()) return std::move(*fallback);
    return FitsNone(place, m);
  }
  GgufType undecided;
  undecided.bytes = exact[0]->bytes;
  for (const GgufType* type : exact) {
    undecided.name += (undecided.name.empty() ? "" : " or ") + type->name;
    undecided.choices.push_back(*type);
  }
  undecided.refusal = fmt::format(
      "type id {} may be {}: {} x {} values are too few for their size to tell, and no other "
      "tensor "
      "of the file does; convert the original checkpoint again",
      place.type_id, undecided.name, place.rows, place.cols);
  return undecided;
}

}  // namespace tern
