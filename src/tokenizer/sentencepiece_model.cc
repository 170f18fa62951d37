#include "tokenizer/sentencepiece_model.h"

#include <cstring>
#include <limits>
#include <optional>

#include "base/bytes.h"

namespace tern {
namespace {

constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581

struct Field {
  uint32_t number = 0;
  uint64_t value = 0;      // a varint or a fixed width
  std::string_view bytes;  // of a length-delimited field
};

/// Reads the fields of one message; unknown fields are the caller's to ignore.
class FieldReader {
 public:
  explicit FieldReader(std::string_view message) : rest_(message) {}

  bool done() const { return rest_.empty(); }

  /// Nothing for a malformed field.
  std::optional<Field> Next() {
    const std::optional<uint64_t> key = Varint();
    if (!key || *key >> 3 > std::numeric_limits<uint32_t>::max()) return std::nullopt;
    Field field;
    field.number = static_cast<uint32_t>(*key >> 3);
    switch (*key & 7) {
      case 0: {
        const std::optional<uint64_t> value = Varint();
        if (!value) return std::nullopt;
        field.value = *value;
        return field;
      }
      case 1:
        return Fixed<uint64_t>(field);
      case 5:
        return Fixed<uint32_t>(field);
      case 2: {
        const std::optional<uint64_t> length = Varint();
        if (!length || *length > rest_.size()) return std::nullopt;
        field.bytes = rest_.substr(0, static_cast<size_t>(*length));
        rest_.remove_prefix(field.bytes.size());
        return field;
      }
      default:
        return std::nullopt;
    }
  }

 private:
  std::optional<uint64_t> Varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7fu) << shift;
      if (byte < 0x80) return value;
    }
    return std::nullopt;
  }

  template <class T>
  std::optional<Field> Fixed(Field field) {
    if (rest_.size() < sizeof(T)) return std::nullopt;
    field.value = LoadLe<T>(rest_.data());
    rest_.remove_prefix(sizeof(T));
    return field;
  }

  std::string_view rest_;
};

/// Calls use(field) for each field of a message.
template <class Use>
Status ForEachField(std::string_view name, std::string_view message, Use use) {
  FieldReader reader(message);
  while (!reader.done()) {
    const std::optional<Field> field = reader.Next();
    if (!field) return Fail(Code::kCorrupt, "{}: malformed field", name);
    TERN_TRY(use(*field));
  }
  return {};
}

Status ReadPiece(std::string_view message, TokenizerSpec& spec) {
  std::string spelling;
  float score = 0;
  uint64_t type = 1;
  TERN_TRY(ForEachField("piece", message, [&](const Field& field) -> Status {
    if (field.number == 1) spelling = field.bytes;
    if (field.number == 2) score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
    if (field.number == 3) type = field.value;
    return {};
  }));
  if (type < 1 || type > 6)
    return Fail(Code::kCorrupt, "piece {}: found type {}, expected 1 to 6", spec.tokens.size(),
                type);
  if (type == static_cast<uint64_t>(TokenType::kUserDefined)) {
    // Matched in text before spaces become U+2581, so it has to be spelled as text is.
    for (size_t at = spelling.find(kSpace); at != std::string::npos; at = spelling.find(kSpace))
      spelling.replace(at, kSpace.size(), " ");
  }
  spec.tokens.push_back(std::move(spelling));
  spec.scores.push_back(score);
  spec.types.push_back(static_cast<TokenType>(type));
  return {};
}

struct TrainerFields {
  uint64_t model_type = 1;  // UNIGRAM
  int64_t unknown = 0, bos = 1, eos = 2, padding = -1;
};

Status ReadTrainer(std::string_view message, TrainerFields& trainer) {
  return ForEachField("trainer_spec", message, [&](const Field& field) -> Status {
    const auto id = static_cast<int64_t>(field.value);
    if (field.number == 3) trainer.model_type = field.value;
    if (field.number == 40) trainer.unknown = id;
    if (field.number == 41) trainer.bos = id;
    if (field.number == 42) trainer.eos = id;
    if (field.number == 43) trainer.padding = id;
    return {};
  });
}

struct NormalizerFields {
  bool has_character_map = false;
  bool add_space_prefix = true;
  bool remove_extra_space = true;
};

Status ReadNormalizer(std::string_view message, NormalizerFields& normalizer) {
  return ForEachField("normalizer_spec", message, [&](const Field& field) -> Status {
    if (field.number == 2) normalizer.has_character_map = !field.bytes.empty();
    if (field.number == 3) normalizer.add_space_prefix = field.value != 0;
    if (field.number == 4) normalizer.remove_extra_space = field.value != 0;
    return {};
  });
}

Result<std::optional<TokenId>> CheckedId(std::string_view name, int64_t id, size_t tokens) {
  if (id < 0) return std::nullopt;
  if (static_cast<uint64_t>(id) >= tokens)
    return Fail(Code::kCorrupt, "trainer_spec: {}: found {}, expected an id below {}", name, id,
                tokens);
  return static_cast<TokenId>(id);
}

}  // namespace

Result<TokenizerSpec> ParseSentencePieceModel(std::string_view bytes) {
  TokenizerSpec spec;
  TrainerFields trainer;
  NormalizerFields normalizer;
  TERN_TRY(ForEachField("model", bytes, [&](const Field& field) -> Status {
    if (field.number == 1) return ReadPiece(field.bytes, spec);
    if (field.number == 2) return ReadTrainer(field.bytes, trainer);
    if (field.number == 3) return ReadNormalizer(field.bytes, normalizer);
    return {};
  }));
  if (trainer.model_type != 2)
    return Fail(Code::kUnsupported, "SentencePiece model type {}, expected 2 (BPE)",
                trainer.model_type);
  if (normalizer.has_character_map || normalizer.remove_extra_space)
    return Fail(Code::kUnsupported,
                "the SentencePiece model normalises its text, expected identity");
  const size_t tokens = spec.tokens.size();
  TERN_ASSIGN_OR_RETURN(spec.unknown, CheckedId("unk_id", trainer.unknown, tokens));
  TERN_ASSIGN_OR_RETURN(spec.bos, CheckedId("bos_id", trainer.bos, tokens));
  TERN_ASSIGN_OR_RETURN(spec.eos, CheckedId("eos_id", trainer.eos, tokens));
  TERN_ASSIGN_OR_RETURN(spec.padding, CheckedId("pad_id", trainer.padding, tokens));
  spec.model = TokenizerModel::kSentencePieceBpe;
  spec.add_bos = true;
  spec.add_space_prefix = normalizer.add_space_prefix;
  return spec;
}

bool LooksLikeSentencePieceModel(std::string_view bytes) {
  FieldReader reader(bytes);
  const std::optional<Field> piece = reader.Next();
  if (!piece || piece->number != 1) return false;
  FieldReader inner(piece->bytes);
  const std::optional<Field> spelling = inner.Next();
  return spelling && spelling->number == 1 && !spelling->bytes.empty();
}

}  // namespace tern
