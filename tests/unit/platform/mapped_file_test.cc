#include "platform/mapped_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string_view>

namespace tern {
namespace {

std::string Write(std::string_view name, std::string_view content) {
  const auto path = std::filesystem::path(testing::TempDir()) / name;
  std::ofstream(path, std::ios::binary) << content;
  return path.string();
}

TEST(MappedFile, ShowsTheBytesOfTheFile) {
  const std::string path = Write("mapped_file_test", "abc");
  const auto file = MappedFile::Open(path);
  ASSERT_TRUE(file);
  const auto bytes = (*file)->bytes();
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), "abc");
  EXPECT_EQ((*file)->path(), path);
}

TEST(MappedFile, AnEmptyFileHasNoBytes) {
  const auto file = MappedFile::Open(Write("mapped_file_empty", ""));
  ASSERT_TRUE(file);
  EXPECT_TRUE((*file)->bytes().empty());
}

TEST(MappedFile, MissingFilesAndFoldersAreErrorsWithTheirPath) {
  const auto missing = MappedFile::Open("/no/such/file");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_EQ(missing.error().message, "/no/such/file: No such file or directory");
  const auto folder = MappedFile::Open(testing::TempDir());
  ASSERT_FALSE(folder);
  EXPECT_NE(folder.error().message.find("not a regular file"), std::string::npos);
}

}  // namespace
}  // namespace tern
