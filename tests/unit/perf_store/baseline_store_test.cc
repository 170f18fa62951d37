#include "perf/store/baseline_store.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

namespace tern {
namespace {

namespace fs = std::filesystem;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

BaselineRun SomeRun(const std::string& name, double offset = 0) {
  BaselineRun run;
  run.name = name;
  run.recorded_at = "2026-11-28T08:00:00Z";
  run.commit = "0123abc";
  run.program = "build/release/tern";
  run.build = {"0.1.0", "GNU 12.2.0", "-O3 -DNDEBUG"};
  run.machine = {"Some CPU",           "avx2",     2,  {48 << 10, 2 << 20, 32 << 20},
                 "2 x DDR5 4800 MT/s", 8ull << 30, "", "",
                 "performance",        "Linux 6.1"};
  run.limits = {{"dram read", "GB/s", 1 << 20, 15.5, 30.25, 0.99}};
  run.results = {{"pp64", "-p 64", "samples_ts", true, {{1.5 + offset, 2.5}, {0.1}, {3, 4, 5}}},
                 {"tg8", "it's \"quoted\"", "best_us", false, {}}};
  return run;
}

void ExpectEqual(const BaselineRun& a, const BaselineRun& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.recorded_at, b.recorded_at);
  EXPECT_EQ(a.commit, b.commit);
  EXPECT_EQ(a.program, b.program);
  EXPECT_EQ(a.build.flags, b.build.flags);
  EXPECT_EQ(a.build.compiler, b.build.compiler);
  EXPECT_EQ(a.machine.Key(), b.machine.Key());
  EXPECT_EQ(a.machine.memory_bytes, b.machine.memory_bytes);
  EXPECT_EQ(a.machine.system, b.machine.system);
  ASSERT_EQ(a.limits.size(), b.limits.size());
  for (size_t i = 0; i < a.limits.size(); ++i) {
    EXPECT_EQ(a.limits[i].name, b.limits[i].name);
    EXPECT_EQ(a.limits[i].bytes, b.limits[i].bytes);
    EXPECT_EQ(a.limits[i].all, b.limits[i].all);
    EXPECT_EQ(a.limits[i].cpu_share, b.limits[i].cpu_share);
  }
  ASSERT_EQ(a.results.size(), b.results.size());
  for (size_t i = 0; i < a.results.size(); ++i) {
    EXPECT_EQ(a.results[i].benchmark, b.results[i].benchmark);
    EXPECT_EQ(a.results[i].parameters, b.results[i].parameters);
    EXPECT_EQ(a.results[i].metric, b.results[i].metric);
    EXPECT_EQ(a.results[i].more_is_better, b.results[i].more_is_better);
    EXPECT_EQ(a.results[i].rounds, b.results[i].rounds);
  }
}

class BaselineStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        fs::temp_directory_path() / (std::string("tern_store_") +
                                     testing::UnitTest::GetInstance()->current_test_info()->name() +
                                     "_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    path_ = (folder_ / "perf.sqlite").string();
  }
  void TearDown() override { fs::remove_all(folder_); }

  // The file and nothing in its log.
  std::string Content() { return ReadFile(path_); }

  fs::path folder_;
  std::string path_;
};

TEST_F(BaselineStoreTest, GivesBackWhatItWasGiven) {
  auto store = BaselineStore::Open(path_);
  ASSERT_TRUE(store) << store.error().message;
  const BaselineRun run = SomeRun("main");
  const auto id = store->Add(run);
  ASSERT_TRUE(id) << id.error().message;
  ASSERT_TRUE(store->Add(SomeRun("other")));
  // Through another connection.
  auto again = BaselineStore::Open(path_);
  ASSERT_TRUE(again) << again.error().message;
  const auto found = again->Runs("main");
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->size(), 1u);
  ExpectEqual(found->front(), run);
  EXPECT_EQ(found->front().uuid.size(), 32u);
  ExpectEqual(*again->Run(*id), run);
  EXPECT_EQ(again->Runs("")->size(), 2u);
  EXPECT_EQ(again->Runs("nobody")->size(), 0u);
  EXPECT_EQ(again->Run(77).error().code, Code::kNotFound);
  EXPECT_TRUE(again->Runs("main", false)->front().results.empty());
}

TEST_F(BaselineStoreTest, AnEmptyRoundKeepsNobodyFromTheNext) {
  auto store = BaselineStore::Open(path_);
  BaselineRun run = SomeRun("main");
  run.results = {{"a", "", "m", false, {{1}, {2}}}, {"b", "", "m", false, {{1}, {2}}}};
  const auto id = store->Add(run);
  ASSERT_TRUE(id);
  ExpectEqual(*store->Run(*id), run);
}

TEST_F(BaselineStoreTest, ExportedRunsCanBeImportedOnce) {
  auto store = BaselineStore::Open(path_);
  ASSERT_TRUE(store->Add(SomeRun("main")));
  const auto runs = store->Runs("");
  const auto read = ImportRuns(ExportRuns(*runs), "x.json");
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->size(), 1u);
  ExpectEqual(read->front(), runs->front());
  EXPECT_EQ(*store->Add(read->front()), 0);  // is there already
  auto other = BaselineStore::Open((folder_ / "other.sqlite").string());
  EXPECT_GT(*other->Add(read->front()), 0);
  EXPECT_EQ(ExportRuns(*other->Runs("")), ExportRuns(*runs));
}

TEST_F(BaselineStoreTest, AWrongExportIsNamedWithItsPlace) {
  const std::string good = ExportRuns({SomeRun("main")});
  const auto message = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    const auto read = ImportRuns(text, "x.json");
    EXPECT_FALSE(read);
    return read ? "" : read.error().message;
  };
  EXPECT_NE(message("\"l2\": 2097152", "\"l2\": -1").find("x.json: runs[0]: machine: 'l2'"),
            std::string::npos);
  EXPECT_NE(message("\"benchmark\"", "\"bench\"").find("results[0]: 'benchmark' is missing"),
            std::string::npos);
  EXPECT_NE(message("2.5", "\"2.5\"").find("results[0]: 'rounds'"), std::string::npos);
  EXPECT_NE(message("tern-baselines-1", "tern-baselines-9").find("x.json: expected"),
            std::string::npos);
  for (const char* text : {"", "[]", "{", "{\"format\": 3}", "{\"format\": \"tern-baselines-1\"}"})
    EXPECT_EQ(ImportRuns(text, "x").error().code, Code::kCorrupt) << text;
}

TEST_F(BaselineStoreTest, AFileOfTheFirstSchemaIsMigrated) {
  // Made by tests/data/perf/README.md's command; what it holds is written down there too.
  fs::copy(TERN_TEST_DATA "/perf/baselines-v1.sqlite", path_);
  {
    auto store = BaselineStore::Open(path_);
    ASSERT_TRUE(store) << store.error().message;
  }
  auto store = BaselineStore::Open(path_);  // and it stays so
  ASSERT_TRUE(store) << store.error().message;
  const auto runs = store->Runs("");
  ASSERT_TRUE(runs) << runs.error().message;
  ASSERT_EQ(runs->size(), 3u);
  const BaselineRun& first = runs->front();
  EXPECT_EQ(first.uuid, "aa01");
  EXPECT_EQ(first.name, "main");
  EXPECT_EQ(first.machine.cpu, "Old CPU");
  EXPECT_EQ(first.machine.cpus, 4);
  EXPECT_EQ(first.machine.caches.l2, 1048576u);
  EXPECT_EQ(first.machine.memory, "");
  ASSERT_EQ(first.limits.size(), 2u);
  EXPECT_EQ(first.limits[1].name, "int8 avx2");
  EXPECT_EQ(first.limits[1].all, 0.5);
  ASSERT_EQ(first.results.size(), 2u);
  EXPECT_EQ(first.results[0].benchmark, "pp512");
  EXPECT_EQ(first.results[0].rounds, (std::vector<std::vector<double>>{{240.5}, {238.25}, {241}}));
  EXPECT_EQ(first.results[1].rounds, (std::vector<std::vector<double>>{{20}, {19.5}}));
  EXPECT_TRUE((*runs)[1].machine == first.machine);
  EXPECT_EQ((*runs)[2].machine.cpu, "New CPU");
  // It takes new runs, and their machine is the same row as a migrated one's.
  BaselineRun run = SomeRun("main");
  run.machine = first.machine;
  ASSERT_TRUE(store->Add(run));
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &raw), SQLITE_OK);
  sqlite3_stmt* count = nullptr;
  sqlite3_prepare_v2(raw, "SELECT count(*) FROM machine", -1, &count, nullptr);
  EXPECT_EQ(sqlite3_step(count), SQLITE_ROW);
  EXPECT_EQ(sqlite3_column_int(count, 0), 2);
  sqlite3_finalize(count);
  sqlite3_close(raw);
}

TEST_F(BaselineStoreTest, WhatIsNoDatabaseOfOursIsLeftAsItIs) {
  WriteFile(path_, "this is a text, and a rather long one, so that it can be no header of a file");
  const std::string before = Content();
  const auto text = BaselineStore::Open(path_);
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Code::kCorrupt);
  EXPECT_NE(text.error().message.find(path_), std::string::npos);
  EXPECT_EQ(Content(), before);

  const std::string other = (folder_ / "other.sqlite").string();
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(other.c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw, "CREATE TABLE run (x)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(raw);
  const std::string theirs = ReadFile(other);
  EXPECT_EQ(BaselineStore::Open(other).error().code, Code::kInvalidArgument);
  EXPECT_EQ(ReadFile(other), theirs);

  EXPECT_EQ(BaselineStore::Open((folder_ / "no/folder.sqlite").string()).error().code,
            Code::kNotFound);
}

TEST_F(BaselineStoreTest, ANewerSchemaIsRefused) {
  { ASSERT_TRUE(BaselineStore::Open(path_)); }
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw, "PRAGMA user_version = 99", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(raw);
  const auto opened = BaselineStore::Open(path_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kUnsupported);
  EXPECT_NE(opened.error().message.find("schema 99"), std::string::npos);
}

TEST_F(BaselineStoreTest, ADamagedFileIsNamedAndLeftAsItIs) {
  {
    auto store = BaselineStore::Open(path_);
    BaselineRun run = SomeRun("main");
    run.results[0].rounds.assign(5000, {1.5});
    ASSERT_TRUE(store->Add(run));
  }
  ASSERT_GT(Content().size(), 40000u);
  const std::string whole = Content();
  // Pages in the middle overwritten, the end cut off, the header's first page lost.
  for (const int damage : {0, 1, 2}) {
    std::string broken = whole;
    if (damage == 0) broken.replace(16384, 8192, std::string(8192, '\x5a'));
    if (damage == 1) broken.resize(broken.size() / 2);
    if (damage == 2) broken.replace(100, 3000, std::string(3000, '\xff'));
    for (const char* suffix : {"-wal", "-shm"}) fs::remove(path_ + suffix);
    WriteFile(path_, broken);
    const auto opened = BaselineStore::Open(path_);
    ASSERT_FALSE(opened) << damage;
    EXPECT_EQ(opened.error().code, Code::kCorrupt) << opened.error().message;
    EXPECT_NE(opened.error().message.find(path_), std::string::npos);
    EXPECT_EQ(Content(), broken) << damage;
  }
}

TEST_F(BaselineStoreTest, ALockedFileIsNamedAndLosesNothing) {
  { ASSERT_TRUE(BaselineStore::Open(path_)->Add(SomeRun("main"))); }
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &raw), SQLITE_OK);
  auto store = BaselineStore::Open(path_, 20);
  ASSERT_TRUE(store) << store.error().message;
  ASSERT_EQ(sqlite3_exec(raw, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const auto refused = store->Add(SomeRun("main"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_NE(refused.error().message.find("locked"), std::string::npos);
  EXPECT_EQ(store->Runs("main")->size(), 1u);  // reading goes on
  ASSERT_EQ(sqlite3_exec(raw, "COMMIT", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(raw);
  EXPECT_TRUE(store->Add(SomeRun("main")));
  EXPECT_EQ(store->Runs("main")->size(), 2u);
}

TEST_F(BaselineStoreTest, WritersAtTheSameTimeLoseNothing) {
  // Each opens a file that doesn't exist yet, so that creating it is contended too.
  constexpr int kWriters = 4, kRuns = 15;
  std::vector<std::string> errors(kWriters);
  {
    std::vector<std::jthread> writers;
    for (int w = 0; w < kWriters; ++w)
      writers.emplace_back([&, w] {
        for (int i = 0; i < kRuns; ++i) {
          auto store = BaselineStore::Open(path_, 60000);
          const auto id = store ? store->Add(SomeRun("w" + std::to_string(w), i))
                                : Result<int64_t>(tl::unexpected(store.error()));
          if (!id) errors[static_cast<size_t>(w)] = id.error().message;
        }
      });
  }
  for (const std::string& error : errors) EXPECT_EQ(error, "");
  auto store = BaselineStore::Open(path_);
  ASSERT_TRUE(store);
  for (int w = 0; w < kWriters; ++w) {
    const auto runs = store->Runs("w" + std::to_string(w));
    ASSERT_EQ(runs->size(), static_cast<size_t>(kRuns));
    for (int i = 0; i < kRuns; ++i)
      ExpectEqual((*runs)[static_cast<size_t>(i)], SomeRun("w" + std::to_string(w), i));
  }
}

TEST_F(BaselineStoreTest, ARunIsStoredWholeOrNotAtAll) {
  auto store = BaselineStore::Open(path_);
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw,
                         "CREATE TRIGGER stop BEFORE INSERT ON sample WHEN NEW.value = 5 "
                         "BEGIN SELECT raise(ABORT, 'the disk burns'); END",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(raw);
  const auto failed = store->Add(SomeRun("main"));
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("the disk burns"), std::string::npos);
  EXPECT_EQ(store->Runs("", false)->size(), 0u);
  BaselineRun good = SomeRun("main");
  good.results[0].rounds = {{1}};
  EXPECT_TRUE(store->Add(good));
}

}  // namespace
}  // namespace tern
