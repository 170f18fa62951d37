#include "formats/packed_cache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "formats/digest.h"
#include "support/golden.h"
#include "support/hf_folder.h"

namespace tern {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;

const PackedCacheKey kKey{"model.gguf 100 1 2\n", "cpu n16k4.1 fused"};

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::byte> Pattern(size_t bytes, unsigned seed) {
  std::vector<std::byte> data(bytes);
  for (size_t i = 0; i < bytes; ++i) data[i] = static_cast<std::byte>(i * 7 + seed);
  return data;
}

const std::vector<std::byte> kFirst = Pattern(5000, 1), kSecond = Pattern(64, 2);

Status Write(const std::string& path) {
  auto writer = PackedCacheWriter::Create(path, kKey);
  if (!writer) return tl::unexpected(writer.error());
  TERN_TRY((*writer)->Add("a", {10, 20, 20, kFirst, 0}));
  TERN_TRY((*writer)->Add("b", {3, 4, 2, kSecond, 0}));
  return (*writer)->Commit();
}

std::string Valid() {
  const TempFolder folder;
  const std::string path = folder.path() + "/cache";
  EXPECT_TRUE(Write(path));
  return ReadAll(path);
}

Result<std::shared_ptr<const PackedCache>> Open(const std::string& bytes,
                                                const PackedCacheKey& key = kKey) {
  return PackedCache::Read(MappedFile::FromBytes("cache", test::Bytes(bytes)), key);
}

// What a reader could do with a file that opened.
void ReadEverything(const PackedCache& cache) {
  for (const char* name : {"a", "b"})
    if (const CachedBlob* blob = cache.Find(name))
      for (const std::byte b : blob->bytes) (void)std::to_integer<int>(b);
  (void)cache.Verify();
}

TEST(PackedCache, GivesBackWhatWasWritten) {
  const auto cache = Open(Valid());
  ASSERT_TRUE(cache) << cache.error().message;
  const CachedBlob* a = (*cache)->Find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(std::vector(a->bytes.begin(), a->bytes.end()), kFirst);
  EXPECT_EQ(a->rows, 10);
  EXPECT_EQ(a->cols, 20);
  EXPECT_EQ(a->group, 20);
  const CachedBlob* b = (*cache)->Find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(std::vector(b->bytes.begin(), b->bytes.end()), kSecond);
  EXPECT_EQ((*cache)->Find("c"), nullptr);
  EXPECT_TRUE((*cache)->Verify());
}

TEST(PackedCache, MappedBlobsAreAligned) {
  const TempFolder folder;
  const std::string path = folder.path() + "/new/folders/cache";
  ASSERT_TRUE(Write(path));
  const auto cache = PackedCache::Open(path, kKey).value();
  for (const char* name : {"a", "b"})
    EXPECT_EQ(reinterpret_cast<uintptr_t>(cache->Find(name)->bytes.data()) % 64, 0u);
}

TEST(PackedCache, AFileOfAnotherModelOrLayoutIsStale) {
  const std::string bytes = Valid();
  const auto other_model = Open(bytes, {"model.gguf 100 1 3\n", kKey.layout});
  ASSERT_FALSE(other_model);
  EXPECT_EQ(other_model.error().code, Code::kUnsupported);
  const auto other_layout = Open(bytes, {kKey.source, "cpu n16k4.2 fused"});
  ASSERT_FALSE(other_layout);
  EXPECT_EQ(other_layout.error().code, Code::kUnsupported);
  EXPECT_EQ(other_layout.error().message,
            "cache: found layout 'cpu n16k4.1 fused', expected 'cpu n16k4.2 fused'");
}

TEST(PackedCache, AFileCutAnywhereIsRefused) {
  const std::string bytes = Valid();
  for (size_t length = 0; length < bytes.size(); ++length) {
    const auto cache = Open(bytes.substr(0, length));
    ASSERT_FALSE(cache) << length;
    EXPECT_EQ(cache.error().code, Code::kCorrupt) << length;
  }
  EXPECT_FALSE(Open(bytes + '\0'));
}

TEST(PackedCache, AFlippedBitIsFoundOrLiesInTheBlobsWhereTheCheckFindsIt) {
  const std::string bytes = Valid();
  const size_t first = 4096, second = 3 * 4096;  // where the blobs begin
  const size_t table = second + kSecond.size();
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << at % 8));
    const auto cache = Open(damaged);
    if (at < 12 || at >= table) {
      ASSERT_FALSE(cache) << at;
      continue;
    }
    ASSERT_TRUE(cache) << at;
    const bool in_blob =
        (at >= first && at < first + kFirst.size()) || (at >= second && at < table);
    EXPECT_EQ((*cache)->Verify().has_value(), !in_blob) << at;
  }
}

// The digest of the table keeps accidents away; whoever computes it anew reaches the checks behind.
TEST(PackedCache, AWrongTableWithARightDigestIsRefusedOrHarmless) {
  const std::string bytes = Valid();
  const size_t table = 3 * 4096 + kSecond.size(), end = bytes.size() - 40;
  int opened = 0;
  for (size_t at = table; at < end; ++at) {
    for (const int value : {0, 1, 0x7f, 0x80, 0xff}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(value);
      const uint64_t digest = Digest(std::string_view(damaged).substr(table, end - table));
      std::memcpy(damaged.data() + end + 16, &digest, sizeof digest);
      const auto cache = Open(damaged);
      if (!cache) continue;
      ++opened;
      ReadEverything(**cache);
    }
  }
  EXPECT_GT(opened, 0);
}

TEST(PackedCache, WithoutCommitThereIsNoFile) {
  const TempFolder folder;
  {
    auto writer = PackedCacheWriter::Create(folder.path() + "/cache", kKey).value();
    EXPECT_TRUE(writer->Add("a", {10, 20, 20, kFirst, 0}));
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(PackedCache, TwoWritersLeaveOneWholeFile) {
  const TempFolder folder;
  const std::string path = folder.path() + "/cache";
  auto one = PackedCacheWriter::Create(path, kKey).value();
  ASSERT_TRUE(Write(path));
  ASSERT_TRUE(one->Add("a", {10, 20, 20, kFirst, 0}));
  ASSERT_TRUE(one->Commit());
  EXPECT_TRUE(PackedCache::Open(path, kKey).value()->Verify());
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

TEST(PackedCache, WhatAKilledProcessLeftIsRemovedLater) {
  const TempFolder folder;
  const fs::path left = folder.path() + "/cache.part99999-0",
                 recent = folder.path() + "/cache.part1-0";
  std::ofstream(left) << "x";
  std::ofstream(recent) << "x";
  fs::last_write_time(left, fs::file_time_type::clock::now() - std::chrono::hours(1));
  ASSERT_TRUE(Write(folder.path() + "/cache"));
  EXPECT_FALSE(fs::exists(left));
  EXPECT_TRUE(fs::exists(recent));
}

TEST(PackedCachePath, IsOneForEachModelAndLayout) {
  const std::string path = PackedCachePath("/c", "/m/x.gguf", "l");
  EXPECT_TRUE(path.starts_with("/c/x.gguf-")) << path;
  EXPECT_NE(path, PackedCachePath("/c", "/n/x.gguf", "l"));
  EXPECT_NE(path, PackedCachePath("/c", "/m/x.gguf", "k"));
  EXPECT_EQ(path, PackedCachePath("/c", "/m/../m/x.gguf", "l"));
}

}  // namespace
}  // namespace tern
