// Streaming against the whole text at once, over random portions.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "support/small_tokenizers.h"
#include "tokenizer/detokenizer.h"
#include "tokenizer/stop_matcher.h"
#include "tokenizer/utf8.h"

namespace tern {
namespace {

using Random = std::mt19937;

size_t Below(Random& random, size_t bound) { return random() % bound; }

std::string RandomText(Random& random, const std::vector<std::string>& units, size_t most) {
  std::string out;
  for (size_t n = Below(random, most + 1); n > 0; --n) out += units[Below(random, units.size())];
  return out;
}

std::vector<std::string_view> RandomPortions(Random& random, std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const size_t size = Below(random, std::min<size_t>(text.size(), 5) + 1);
    out.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return out;
}

/// The whole text with U+FFFD for each maximal invalid subpart.
std::string Repair(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Utf8Step step = NextUtf8(text);
    out += step.kind == Utf8Kind::kCharacter ? text.substr(0, step.length) : "\ufffd";
    text.remove_prefix(step.length);
  }
  return out;
}

TEST(StreamProperty, AssembledTextIsTheRepairedWholeInWholeCharacters) {
  Random random(1);
  const std::vector<std::string> units = {"a",    "\u00e9", "\u20ac", "\U0001f600", "\xf0", "\x9f",
                                          "\x98", "\x80",   "\xe2",   "\xc3",       "\xff", "\xed"};
  for (int round = 0; round < 20000; ++round) {
    const std::string text = RandomText(random, units, 10);
    Utf8Assembler assembler;
    std::string joined;
    for (const std::string_view portion : RandomPortions(random, text)) {
      const std::string part = assembler.Feed(portion);
      ASSERT_EQ(ValidUtf8Prefix(part), part.size()) << testing::PrintToString(text);
      joined += part;
    }
    joined += assembler.Finish();
    ASSERT_EQ(joined, Repair(text)) << testing::PrintToString(text);
  }
}

TEST(StreamProperty, DetokenizedIdsAreTheWholeDecode) {
  Random random(2);
  for (TokenizerSpec spec : {test::SmallByteBpe(), test::SmallSentencePiece()}) {
    const auto tokenizer = test::MakeTokenizer(std::move(spec));
    for (int round = 0; round < 5000; ++round) {
      std::vector<TokenId> ids;
      for (size_t n = Below(random, 12); n > 0; --n)
        ids.push_back(static_cast<TokenId>(Below(random, tokenizer->size() + 2)) - 1);
      const bool special = Below(random, 2) == 0;
      Detokenizer detokenizer(*tokenizer, std::nullopt, special);
      std::string joined;
      for (const TokenId id : ids) joined += detokenizer.Feed(id);
      joined += detokenizer.Finish();
      ASSERT_EQ(joined, Repair(tokenizer->Decode(ids, special)));
    }
  }
}

struct Expected {
  std::string text;
  std::optional<std::string> stop;
};

/// By find() in the whole text: the first to begin, then the shortest.
Expected StopPlainly(const std::string& text, const std::vector<std::string>& stops) {
  Expected out{text, std::nullopt};
  size_t first = std::string::npos;
  for (const std::string& stop : stops) {
    const size_t at = stop.empty() ? std::string::npos : text.find(stop);
    if (at == std::string::npos) continue;
    if (at > first || (at == first && stop.size() >= out.stop->size())) continue;
    first = at;
    out = {text.substr(0, at), stop};
  }
  return out;
}

TEST(StreamProperty, StopStringsAreFoundAsInTheWholeText) {
  Random random(3);
  const std::vector<std::string> units = {"a", "b", "ab", "\u00e9"};
  for (int round = 0; round < 50000; ++round) {
    std::vector<std::string> stops;
    for (size_t n = Below(random, 4); n > 0; --n) stops.push_back(RandomText(random, units, 4));
    const std::string text = RandomText(random, units, 14);
    StopMatcher matcher(stops);
    std::string joined;
    for (const std::string_view portion : RandomPortions(random, text))
      joined += matcher.Feed(portion);
    joined += matcher.Finish();
    const Expected expected = StopPlainly(text, stops);
    ASSERT_EQ(joined, expected.text) << text << " with " << testing::PrintToString(stops);
    ASSERT_EQ(matcher.match(), expected.stop) << text << " with " << testing::PrintToString(stops);
  }
}

TEST(StreamProperty, NothingIsHeldBackThatNoStopStringCanReach) {
  Random random(4);
  const std::vector<std::string> units = {"a", "b", "c"};
  for (int round = 0; round < 20000; ++round) {
    const std::vector<std::string> stops = {"c" + RandomText(random, units, 3),
                                            "c" + RandomText(random, units, 3)};
    const std::string text = RandomText(random, units, 10);
    StopMatcher matcher(stops);
    std::string out;
    for (const char c : text) out += matcher.Feed(std::string(1, c));
    if (matcher.match()) continue;
    // What is still held is the beginning of a stop string, so some continuation matches there.
    const std::string held = text.substr(out.size());
    const bool may_match = std::any_of(stops.begin(), stops.end(), [&](const std::string& stop) {
      return stop.starts_with(held);
    });
    ASSERT_TRUE(may_match) << text << " holds " << held;
  }
}

}  // namespace
}  // namespace tern
