#include "tokenizer/sentencepiece_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "support/small_tokenizers.h"

namespace tern {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string Varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}

std::string Bytes(uint64_t field, const std::string& bytes) {
  return Varint(field << 3 | 2) + Varint(bytes.size()) + bytes;
}

std::string Number(uint64_t field, uint64_t value) { return Varint(field << 3) + Varint(value); }

std::string Float(uint64_t field, float value) {
  std::string out(sizeof value, '\0');
  std::memcpy(out.data(), &value, sizeof value);
  return Varint(field << 3 | 5) + out;
}

std::string Piece(const std::string& spelling, float score, uint64_t type = 0) {
  return Bytes(1, Bytes(1, spelling) + Float(2, score) + (type == 0 ? "" : Number(3, type)));
}

std::string Pieces() {
  return Piece("<unk>", 0, 2) + Piece("<s>", 0, 3) + Piece("</s>", 0, 3) +
         Piece("\u2581\u2581", -1, 4) + Piece("ab", -2) + Piece("a", -3) + Piece("b", -4) +
         Piece("\u2581", -5);
}

const std::string kBpe = Bytes(2, Number(3, 2) + Number(43, ~uint64_t{0}));
const std::string kIdentity = Bytes(3, Number(3, 1) + Number(4, 0));

TEST(SentencePieceModel, PiecesIdsAndPrefixAreRead) {
  const auto spec = ParseSentencePieceModel(Pieces() + kBpe + kIdentity);
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_EQ(spec->tokens.size(), 8U);
  EXPECT_EQ(spec->unknown, 0);
  EXPECT_EQ(spec->bos, 1);
  EXPECT_EQ(spec->eos, 2);
  EXPECT_EQ(spec->padding, std::nullopt);
  EXPECT_EQ(spec->tokens[3], "  ");  // user-defined: matched in text, where spaces are spaces
  EXPECT_EQ(spec->scores[4], -2.0F);
  EXPECT_TRUE(spec->add_space_prefix && spec->add_bos);
  EXPECT_THAT(test::MakeTokenizer(*spec)->Encode("ab", {}), ElementsAre(7, 4));
}

TEST(SentencePieceModel, UnknownFieldsOfAnyWireTypeAreSkipped) {
  const std::string unknown =
      Number(90, 1) + Float(91, 1) + Bytes(92, "x") + Varint(93 << 3 | 1) + std::string(8, 'x');
  EXPECT_TRUE(ParseSentencePieceModel(unknown + Pieces() + kBpe + kIdentity));
}

TEST(SentencePieceModel, OtherModelsAndNormalisationAreRefused) {
  const auto refusal = [](const std::string& bytes) {
    const auto spec = ParseSentencePieceModel(bytes);
    return spec ? "accepted" : spec.error().message;
  };
  EXPECT_THAT(refusal(Pieces() + Bytes(2, Number(3, 1)) + kIdentity), HasSubstr("type 1"));
  EXPECT_THAT(refusal(Pieces() + kIdentity), HasSubstr("type 1"));
  EXPECT_THAT(refusal(Pieces() + kBpe), HasSubstr("identity"));
  EXPECT_THAT(refusal(Pieces() + kBpe + Bytes(3, Bytes(2, "map") + Number(4, 0))),
              HasSubstr("identity"));
}

TEST(SentencePieceModel, IllegalTypesAndIdsAreCorrupt) {
  const auto refusal = [](const std::string& bytes) {
    const auto spec = ParseSentencePieceModel(bytes);
    EXPECT_TRUE(!spec && spec.error().code == Code::kCorrupt);
    return spec ? "accepted" : spec.error().message;
  };
  EXPECT_THAT(refusal(Piece("x", 0, 9) + kBpe + kIdentity), HasSubstr("found type 9"));
  EXPECT_THAT(refusal(Piece("x", 0) + kBpe + kIdentity), HasSubstr("bos_id"));
}

TEST(SentencePieceModel, EveryCutIsMalformedOrIncomplete) {
  const std::string whole = Pieces() + kBpe + kIdentity;
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(ParseSentencePieceModel(whole.substr(0, size))) << size;
}

TEST(SentencePieceModel, ItsBeginningIsRecognised) {
  EXPECT_TRUE(LooksLikeSentencePieceModel(Pieces()));
  EXPECT_FALSE(LooksLikeSentencePieceModel(""));
  EXPECT_FALSE(LooksLikeSentencePieceModel("\n"));
  EXPECT_FALSE(LooksLikeSentencePieceModel("plain text"));
}

}  // namespace
}  // namespace tern
