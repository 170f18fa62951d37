// Test data too large or too encumbered to be tracked (real vocabularies, checkpoints).
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

namespace tern::test {

/// Path of a file or folder below the shared data, e.g. "hf-goldens/a-bitnet-packed"; nothing when
/// it isn't there. The root is $TERN_SHARED_DATA, else the folder that tools/unpack_shared.sh fills
/// at build time.
inline std::optional<std::filesystem::path> SharedData(std::string_view relative) {
  const char* env = std::getenv("TERN_SHARED_DATA");
  const std::filesystem::path path = std::filesystem::path(env ? env : TERN_SHARED_DATA) / relative;
  std::error_code ec;
  if (!std::filesystem::exists(path, ec)) return std::nullopt;
  return path;
}

/// A whole file as bytes; empty when it can't be read.
inline std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace tern::test

/// `TERN_SHARED_OR_SKIP(dir, "hf-goldens/a-bitnet-packed");` declares dir or skips the test,
/// visibly.
#define TERN_SHARED_OR_SKIP(name, relative)                                                    \
  const auto name##_found = ::tern::test::SharedData(relative);                                \
  if (!name##_found)                                                                           \
    GTEST_SKIP() << "shared test data not found: " << (relative) << " (set TERN_SHARED_DATA)"; \
  const std::filesystem::path name = *name##_found
