// The embedded page is the folder src/server/web, byte for byte.
#include "server/web_files.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>

namespace tern {
namespace {

namespace fs = std::filesystem;

std::map<std::string, std::string> FilesOnDisk() {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(fs::path(TERN_SOURCE_DIR) / "src/server/web")) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string name = entry.path().filename().string();
    files[name == "index.html" ? "/" : "/web/" + name] =
        std::string(std::istreambuf_iterator<char>(file), {});
  }
  return files;
}

TEST(WebFiles, AreTheFolderByteForByte) {
  std::map<std::string, std::string> embedded;
  for (const WebFile& file : WebFiles()) embedded.emplace(file.path, file.bytes);
  ASSERT_EQ(embedded.size(), WebFiles().size()) << "a path twice";
  EXPECT_FALSE(embedded.at("/").empty());
  EXPECT_EQ(embedded, FilesOnDisk());
}

TEST(WebFiles, HaveTheTypeOfTheirName) {
  const std::map<std::string, std::string> types = {{".html", "text/html; charset=utf-8"},
                                                    {".css", "text/css; charset=utf-8"},
                                                    {".js", "text/javascript; charset=utf-8"},
                                                    {".svg", "image/svg+xml"}};
  for (const WebFile& file : WebFiles()) {
    const std::string name = file.path == "/" ? "index.html" : std::string(file.path);
    EXPECT_EQ(file.content_type, types.at(fs::path(name).extension().string())) << name;
  }
}

TEST(WebFiles, HaveQuotedTagsThatDiffer) {
  std::set<std::string_view> tags;
  for (const WebFile& file : WebFiles()) {
    EXPECT_THAT(std::string(file.etag), testing::MatchesRegex("\"[0-9a-f]+\"")) << file.path;
    tags.insert(file.etag);
  }
  EXPECT_EQ(tags.size(), WebFiles().size());
}

}  // namespace
}  // namespace tern
