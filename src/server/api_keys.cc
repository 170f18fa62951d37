#include "server/api_keys.h"

#include <algorithm>
#include <fstream>

namespace tern {
namespace {

constexpr std::string_view kBearer = "bearer ";
constexpr std::string_view kBlank = " \t\r";

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// Goes through all of `key`, whatever `given` is.
bool SameKey(std::string_view key, std::string_view given) {
  volatile unsigned char differences = key.size() == given.size() ? 0 : 1;
  for (size_t i = 0; i < key.size(); ++i) {
    const char other = i < given.size() ? given[i] : '\0';
    differences = static_cast<unsigned char>(differences | (key[i] ^ other));
  }
  return differences == 0;
}

// The key of "Bearer KEY"; "" for another scheme.
std::string_view BearerKey(std::string_view authorization) {
  if (authorization.size() < kBearer.size()) return {};
  for (size_t i = 0; i < kBearer.size(); ++i)
    if ((authorization[i] | 0x20) != (kBearer[i] | 0x20)) return {};
  return Trim(authorization.substr(kBearer.size()));
}

Status ReadKeys(const std::string& path, std::vector<std::string>& out) {
  std::ifstream file(path);
  if (!file) return Fail(Code::kNotFound, "{}: the file of API keys can't be read", path);
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    const std::string_view key = Trim(line);
    if (key.empty() || key[0] == '#') continue;
    const bool printable =
        std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (!printable)
      return Fail(Code::kInvalidArgument,
                  "{}: line {}: found a key with blanks or bytes that no header can have", path,
                  number);
    out.emplace_back(key);
  }
  if (out.empty())
    return Fail(Code::kInvalidArgument, "{}: found no key, expected one a line", path);
  return {};
}

}  // namespace

Result<ApiKeys> ApiKeys::Load(std::vector<std::string> given, std::string file) {
  ApiKeys keys;
  keys.given_ = std::move(given);
  keys.file_ = std::move(file);
  TERN_TRY(keys.Reload());
  return keys;
}

Status ApiKeys::Reload() {
  std::vector<std::string> read;
  if (!file_.empty()) TERN_TRY(ReadKeys(file_, read));
  read.insert(read.end(), given_.begin(), given_.end());
  keys_ = std::move(read);
  return {};
}

bool ApiKeys::Admits(std::string_view authorization, std::string_view x_api_key) const {
  if (!required()) return true;
  const std::string_view bearer = BearerKey(authorization);
  const std::string_view given = bearer.empty() ? x_api_key : bearer;
  bool admitted = false;
  for (const std::string& key : keys_) admitted = SameKey(key, given) | admitted;
  return admitted;
}

}  // namespace tern
