// Both models against the plainest way to write their definition, on random vocabularies and texts.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <random>

#include "support/small_tokenizers.h"
#include "tokenizer/merge_table.h"
#include "tokenizer/utf8.h"

namespace tern {
namespace {

using Random = std::mt19937;

int Below(Random& random, int bound) {
  return static_cast<int>(random() % static_cast<unsigned>(bound));
}

std::string RandomText(Random& random, const std::vector<std::string>& units, int most) {
  std::string out;
  for (int n = Below(random, most + 1); n > 0; --n)
    out += units[static_cast<size_t>(Below(random, static_cast<int>(units.size())))];
  return out;
}

/// Merges the best adjacent pair of strings until there is none: `rank` gives nothing for pairs
/// that don't merge, lower goes first, leftmost of equals.
template <class Rank>
std::vector<std::string> MergePlainly(std::vector<std::string> parts, Rank rank) {
  for (;;) {
    std::optional<double> best;
    size_t at = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const std::optional<double> found = rank(parts[i], parts[i + 1]);
      if (found && (!best || *found < *best)) {
        best = found;
        at = i;
      }
    }
    if (!best) return parts;
    parts[at] += parts[at + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

std::vector<std::string> Characters(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const size_t length = NextUtf8(text).length;
    out.emplace_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return out;
}

/// A byte-level vocabulary over "abc" with random merges, some of whose results are no tokens.
TokenizerSpec RandomByteBpe(Random& random) {
  TokenizerSpec spec;
  spec.pre = "gpt-2";
  for (int byte = 0; byte < 256; ++byte)
    test::AddToken(spec, ToAlphabet(std::string(1, static_cast<char>(byte))));
  std::vector<std::string> parts = {"a", "b", "c"};
  for (int i = 0; i < 25; ++i) {
    const std::string& left =
        parts[static_cast<size_t>(Below(random, static_cast<int>(parts.size())))];
    const std::string& right =
        parts[static_cast<size_t>(Below(random, static_cast<int>(parts.size())))];
    const std::string joined = left + right;
    spec.merges.push_back(left + ' ' + right);
    if (joined.size() > 8) continue;
    if (Below(random, 8) != 0 &&
        std::find(spec.tokens.begin(), spec.tokens.end(), joined) == spec.tokens.end())
      test::AddToken(spec, joined);
    parts.push_back(joined);
  }
  return spec;
}

TEST(TokenizerProperty, ByteLevelMergingIsThePlainDefinition) {
  Random random(1);
  for (int round = 0; round < 300; ++round) {
    const TokenizerSpec spec = RandomByteBpe(random);
    const auto tokenizer = test::MakeTokenizer(spec);
    std::map<std::string, double> ranks;
    for (size_t i = 0; i < spec.merges.size(); ++i)
      ranks.emplace(spec.merges[i], static_cast<double>(i));
    for (int n = 0; n < 20; ++n) {
      const std::string text = RandomText(random, {"a", "b", "c"}, 40);
      std::vector<TokenId> expected;
      const auto rank = [&](const std::string& l, const std::string& r) -> std::optional<double> {
        const auto found = ranks.find(l + ' ' + r);
        return found == ranks.end() ? std::nullopt : std::optional(found->second);
      };
      for (const std::string& part : MergePlainly(Characters(text), rank)) {
        if (const auto id = tokenizer->Find(part)) {
          expected.push_back(*id);
        } else {
          for (const char c : part) expected.push_back(c);
        }
      }
      ASSERT_EQ(tokenizer->Encode(text, {}), expected) << text;
    }
  }
}

/// A SentencePiece vocabulary over a, b, é and the space sign with random scores, often equal.
TokenizerSpec RandomSentencePiece(Random& random) {
  const std::vector<std::string> units = {"a", "b", "\u00e9", "\u2581"};
  TokenizerSpec spec = test::SmallSentencePiece();
  spec.add_space_prefix = Below(random, 2) == 0;
  for (int i = 0; i < 20; ++i) {
    const std::string piece = RandomText(random, units, 5);
    if (piece.empty() ||
        std::find(spec.tokens.begin(), spec.tokens.end(), piece) != spec.tokens.end())
      continue;
    test::AddToken(spec, piece);
    spec.scores.back() = static_cast<float>(-Below(random, 12));
  }
  return spec;
}

TEST(TokenizerProperty, SentencePieceMergingIsThePlainDefinition) {
  Random random(2);
  for (int round = 0; round < 300; ++round) {
    const TokenizerSpec spec = RandomSentencePiece(random);
    const auto tokenizer = test::MakeTokenizer(spec);
    const auto is_text = [&](TokenId id) {
      return spec.types[static_cast<size_t>(id)] == TokenType::kNormal;
    };
    const auto rank = [&](const std::string& l, const std::string& r) -> std::optional<double> {
      const auto id = tokenizer->Find(l + r);
      if (!id || !is_text(*id)) return std::nullopt;
      return -static_cast<double>(spec.scores[static_cast<size_t>(*id)]);
    };
    for (int n = 0; n < 20; ++n) {
      const std::string text = RandomText(random, {"a", "b", "\u00e9", " ", "c"}, 30);
      std::string spelled = text.empty() || !spec.add_space_prefix ? "" : "\u2581";
      for (const char c : text) spelled += c == ' ' ? std::string("\u2581") : std::string(1, c);
      std::vector<TokenId> expected;
      for (const std::string& part : MergePlainly(Characters(spelled), rank)) {
        const auto id = tokenizer->Find(part);
        if (id && is_text(*id)) {
          expected.push_back(*id);
        } else {
          for (const char c : part) expected.push_back(3 + static_cast<uint8_t>(c));
        }
      }
      ASSERT_EQ(tokenizer->Encode(text, {}), expected) << text;
      ASSERT_EQ(tokenizer->Decode(expected), text);
    }
  }
}

TEST(TokenizerProperty, AnyBytesComeBack) {
  Random random(3);
  const auto byte_level = test::MakeTokenizer(test::SmallByteBpe());
  const auto sentencepiece = test::MakeTokenizer(test::SmallSentencePiece());
  const std::vector<std::string> units = {"a",
                                          "b",
                                          "hello",
                                          " ",
                                          "  ",
                                          "\n",
                                          "\xff",
                                          "\xc3",
                                          "\xe2",
                                          "\x82",
                                          "\xf0",
                                          "\x9f",
                                          "\u20ac",
                                          "<user>",
                                          "<s>",
                                          "<|eos|>",
                                          std::string(1, '\0')};
  for (int round = 0; round < 5000; ++round) {
    const std::string text = RandomText(random, units, 12);
    for (const auto* tokenizer : {byte_level.get(), sentencepiece.get()}) {
      ASSERT_EQ(tokenizer->Decode(tokenizer->Encode(text, {})), text)
          << testing::PrintToString(text);
      const auto parsed = tokenizer->Encode(text, {.add_bos = true, .parse_special = true});
      const std::string bos = tokenizer->Piece(*tokenizer->spec().bos, true);
      const std::string whole = text.starts_with(bos) ? text : bos + text;
      ASSERT_EQ(tokenizer->Decode(parsed, true), whole) << testing::PrintToString(text);
    }
  }
}

TEST(TokenizerProperty, MergeTablesOfAnyContentAreThePlainDefinition) {
  Random random(4);
  for (int round = 0; round < 2000; ++round) {
    MergeTable table;
    std::map<std::pair<int32_t, int32_t>, std::pair<uint32_t, int32_t>> plain;
    int32_t next = 4;
    for (int i = 0; i < 12; ++i) {
      const std::pair<int32_t, int32_t> pair(Below(random, next), Below(random, next));
      const auto rank = static_cast<uint32_t>(Below(random, 6));
      table.Add(pair.first, pair.second, rank, next);
      plain.try_emplace(pair, rank, next++);
    }
    std::vector<int32_t> symbols;
    for (int i = Below(random, 30); i > 0; --i) symbols.push_back(Below(random, 4));
    std::vector<int32_t> expected = symbols;
    for (;;) {
      uint32_t best = std::numeric_limits<uint32_t>::max();
      size_t at = 0;
      for (size_t i = 0; i + 1 < expected.size(); ++i) {
        const auto found = plain.find({expected[i], expected[i + 1]});
        if (found == plain.end() || found->second.first >= best) continue;
        best = found->second.first;
        at = i;
      }
      if (best == std::numeric_limits<uint32_t>::max()) break;
      expected[at] = plain[{expected[at], expected[at + 1]}].second;
      expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
    table.Apply(symbols);
    ASSERT_EQ(symbols, expected);
  }
}

}  // namespace
}  // namespace tern
