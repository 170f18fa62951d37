#include "server/api_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace tern {
namespace {

using testing::HasSubstr;

class ApiKeysFile : public testing::Test {
 protected:
  void Write(const std::string& text) { std::ofstream(path_) << text; }
  ~ApiKeysFile() override { std::filesystem::remove(path_); }
  const std::string path_ = testing::TempDir() + "/keys_" + std::to_string(::getpid()) + ".txt";
};

TEST(ApiKeys, WithoutKeysEverybodyMay) {
  const auto keys = ApiKeys::Load({}, "");
  ASSERT_TRUE(keys);
  EXPECT_FALSE(keys->required());
  EXPECT_TRUE(keys->Admits("", ""));
}

TEST(ApiKeys, AKeyIsTakenFromEitherFieldAndWhole) {
  const auto keys = ApiKeys::Load({"abc", "defg"}, "");
  ASSERT_TRUE(keys);
  EXPECT_TRUE(keys->Admits("Bearer abc", ""));
  EXPECT_TRUE(keys->Admits("bearer  defg ", ""));
  EXPECT_TRUE(keys->Admits("", "abc"));
  for (const char* wrong : {"", "Bearer", "Bearer ", "Bearer ab", "Bearer abcd", "Bearer abd",
                            "abc", "Basic abc", "Bearer abcdefg"})
    EXPECT_FALSE(keys->Admits(wrong, "")) << wrong;
  EXPECT_FALSE(keys->Admits("Bearer wrong", "abc"));  // the first field counts
}

TEST_F(ApiKeysFile, IsReadAgainAndOnErrorsTheKeysStay) {
  Write("# people\nabc\r\n\n  def  \n");
  auto keys = ApiKeys::Load({"given"}, path_);
  ASSERT_TRUE(keys) << keys.error().message;
  EXPECT_EQ(keys->size(), 3u);
  EXPECT_TRUE(keys->Admits("Bearer def", ""));
  Write("new\n");
  ASSERT_TRUE(keys->Reload());
  EXPECT_FALSE(keys->Admits("Bearer def", ""));
  EXPECT_TRUE(keys->Admits("Bearer new", ""));
  EXPECT_TRUE(keys->Admits("Bearer given", ""));
  Write("# nothing\n");
  EXPECT_FALSE(keys->Reload());
  EXPECT_TRUE(keys->Admits("Bearer new", ""));
}

TEST_F(ApiKeysFile, ErrorsNameTheFileAndNotTheKey) {
  const auto missing = ApiKeys::Load({}, "/nowhere/keys");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("/nowhere/keys"));
  Write("good\ntwo words\n");
  const auto blank = ApiKeys::Load({}, path_);
  ASSERT_FALSE(blank);
  EXPECT_THAT(blank.error().message, HasSubstr("line 2"));
  EXPECT_THAT(blank.error().message, testing::Not(HasSubstr("words")));
}

}  // namespace
}  // namespace tern
