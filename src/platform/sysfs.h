// Linux' files of one value below /sys.
#pragma once

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace tern {

inline std::optional<std::string> FirstLine(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  return std::getline(file, line) ? std::optional(line) : std::nullopt;
}

/// The number that the file begins with.
template <class T>
std::optional<T> ReadNumber(const std::filesystem::path& path) {
  const auto line = FirstLine(path);
  T value = 0;
  if (!line || std::from_chars(line->data(), line->data() + line->size(), value).ec != std::errc())
    return std::nullopt;
  return value;
}

/// Entries of a folder whose names begin so, sorted; none when there is no such folder.
inline std::vector<std::filesystem::path> EntriesOf(const std::string& folder,
                                                    const std::string& prefix) {
  std::vector<std::filesystem::path> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (entry.path().filename().string().starts_with(prefix)) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace tern
