#include "token_ids.h"

#include <charconv>
#include <limits>

namespace tern::cli {

Result<std::vector<TokenId>> ParseIds(std::string_view text) {
  constexpr std::string_view kBetween = ", \t\r\n";
  std::vector<TokenId> ids;
  for (size_t at = text.find_first_not_of(kBetween); at != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kBetween, at), text.size());
    const std::string_view entry = text.substr(at, end - at);
    TokenId id = 0;
    const auto [stop, error] = std::from_chars(entry.data(), entry.data() + entry.size(), id);
    if (error != std::errc() || stop != entry.data() + entry.size() || id < 0)
      return Fail(Code::kInvalidArgument, "'{}' is no token id, expected a number from 0", entry);
    ids.push_back(id);
    at = text.find_first_not_of(kBetween, end);
  }
  return ids;
}

Result<std::vector<TokenId>> IdsOfJson(const nlohmann::json& array, const std::string& where) {
  if (!array.is_array())
    return Fail(Code::kInvalidArgument, "{}: found {}, expected an array of token ids", where,
                array.type_name());
  std::vector<TokenId> ids;
  for (const nlohmann::json& id : array) {
    if (!id.is_number_integer() || id < 0 || id > std::numeric_limits<TokenId>::max())
      return Fail(Code::kInvalidArgument, "{}: found {} at position {}, expected a token id", where,
                  id.is_number() ? id.dump() : id.type_name(), ids.size());
    ids.push_back(id.get<TokenId>());
  }
  return ids;
}

Status CheckIds(std::string_view what, const std::vector<TokenId>& ids, int64_t count) {
  for (size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || ids[i] >= count)
      return Fail(Code::kInvalidArgument, "{}: id {} at position {}, expected 0 to {}", what,
                  ids[i], i, count - 1);
  return {};
}

}  // namespace tern::cli
