// Texts and their ids by the reference tokenizers.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/tokenizer_source.h"
#include "support/shared_data.h"
#include "tokenizer/tokenizer.h"

namespace tern::test {

inline std::unique_ptr<Tokenizer> Load(const std::filesystem::path& path,
                                       const TokenizerSourceOptions& options = {}) {
  auto spec = LoadTokenizerSpec(path.string(), options);
  if (!spec) {
    ADD_FAILURE() << spec.error().message;
    return nullptr;
  }
  auto tokenizer = Tokenizer::Create(std::move(*spec));
  if (!tokenizer) {
    ADD_FAILURE() << tokenizer.error().message;
    return nullptr;
  }
  return std::move(*tokenizer);
}

inline std::vector<std::string> SplitAt(std::string_view text, std::string_view separator) {
  std::vector<std::string> parts;
  for (;;) {
    const size_t at = text.find(separator);
    parts.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + separator.size());
  }
}

inline std::vector<TokenId> ParseIds(const std::string& line) {
  std::vector<TokenId> ids;
  const char* at = line.data();
  const char* end = at + line.size();
  while (at != end) {
    TokenId id = 0;
    const auto [next, error] = std::from_chars(at, end, id);
    if (error == std::errc()) ids.push_back(id);
    at = error == std::errc() ? next : at + 1;
  }
  return ids;
}

struct Case {
  std::string text;
  std::vector<TokenId> ids;
};

/// A JSON list of {text, ids}.
inline std::vector<Case> TiktokenCases(const std::filesystem::path& path) {
  std::vector<Case> cases;
  for (const auto& entry : nlohmann::json::parse(ReadFile(path)))
    cases.push_back({entry.at("text"), entry.at("ids")});
  return cases;
}

/// The .inp and .out files beside a vocabulary.
inline std::vector<Case> ReferenceCases(const std::filesystem::path& vocabulary) {
  const std::vector<std::string> texts =
      SplitAt(ReadFile(vocabulary.string() + ".inp"), "\n__ggml_vocab_test__\n");
  const std::vector<std::string> lines = SplitAt(ReadFile(vocabulary.string() + ".out"), "\n");
  std::vector<Case> cases;
  for (size_t i = 0; i < std::min(texts.size(), lines.size()); ++i)
    cases.push_back({texts[i], ParseIds(lines[i])});
  return cases;
}

/// Cases with other ids, or another text decoded from them; `report` makes the first five failures.
inline size_t CountWrong(const Tokenizer& tokenizer, const std::vector<Case>& cases,
                         bool report = true) {
  size_t wrong = 0;
  for (const Case& c : cases) {
    const std::vector<TokenId> ids = tokenizer.Encode(c.text, {});
    if (ids == c.ids && tokenizer.Decode(ids) == c.text) continue;
    if (++wrong > 5 || !report) continue;
    EXPECT_EQ(ids, c.ids) << testing::PrintToString(c.text);
    EXPECT_EQ(tokenizer.Decode(ids), c.text);
  }
  return wrong;
}

}  // namespace tern::test
