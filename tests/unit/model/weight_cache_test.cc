#include "model/weight_cache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "model/model.h"
#include "registry/registry.h"
#include "support/tiny_checkpoint.h"

namespace tern {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;
using test::TinyCheckpoint;

class WeightCacheTest : public testing::Test {
 protected:
  WeightCacheTest() { TinyCheckpoint().WriteTo(model_); }

  struct Loaded {
    CacheReport report;
    std::string weights;  // packed bytes of all matrices
  };

  Loaded Load(CacheOptions cache, const std::string& backend_name = "cpu",
              OptimizationLevel level = OptimizationLevel::kAggressive) {
    auto backend = CreateBackend(backend_name, {.threads = 2}).value();
    const auto source = OpenWeights(model_.path(), {}).value();
    const auto model = LoadModel(*source, *backend, {.cache = std::move(cache), .level = level});
    if (!model) {
      ADD_FAILURE() << model.error().message;
      return {};
    }
    Loaded loaded{model->cache, ""};
    for (const LayerWeights& layer : model->layers)
      for (const PackedTernary* matrix : layer.Matrices()) {
        const auto blob = matrix->blob();
        loaded.weights.append(reinterpret_cast<const char*>(blob.data()), blob.size());
      }
    return loaded;
  }
  Loaded Load() { return Load({.folder = cache_.path(), .min_bytes = 0}); }
  Loaded Check() { return Load({.folder = cache_.path(), .min_bytes = 0, .check = true}); }

  void Damage(const std::string& file, int64_t at) {
    std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekg(at, at < 0 ? std::ios::end : std::ios::beg);
    const auto byte = static_cast<char>(stream.get() ^ 16);
    stream.seekp(at, at < 0 ? std::ios::end : std::ios::beg);
    stream.put(byte);
  }

  const TempFolder model_, cache_;
};

TEST_F(WeightCacheTest, TheSecondLoadMapsWhatTheFirstPacked) {
  const Loaded first = Load();
  EXPECT_EQ(first.report.use, CacheUse::kWritten);
  EXPECT_TRUE(fs::exists(first.report.file));
  EXPECT_FALSE(first.weights.empty());
  const Loaded second = Load();
  EXPECT_EQ(second.report.use, CacheUse::kMapped);
  EXPECT_EQ(second.report.bytes, first.report.bytes);
  EXPECT_EQ(second.weights, first.weights);
  EXPECT_EQ(Check().report.use, CacheUse::kMapped);
  EXPECT_EQ(first.report.note + second.report.note, "");
}

TEST_F(WeightCacheTest, WeightsCanBeCopiedOutOfTheFile) {
  const Loaded first = Load();
  const Loaded copied = Load({.folder = cache_.path(), .min_bytes = 0, .copy = true});
  EXPECT_EQ(copied.report.use, CacheUse::kCopied);
  EXPECT_EQ(copied.weights, first.weights);
}

TEST_F(WeightCacheTest, MatricesThatAreNotJoinedHaveAFileOfTheirOwn) {
  const CacheOptions options{.folder = cache_.path(), .min_bytes = 0};
  const Loaded joined = Load();
  const Loaded apart = Load(options, "cpu", OptimizationLevel::kBasic);
  EXPECT_EQ(apart.report.use, CacheUse::kWritten);
  EXPECT_NE(apart.report.file, joined.report.file);
  const Loaded again = Load(options, "cpu", OptimizationLevel::kBasic);
  EXPECT_EQ(again.report.use, CacheUse::kMapped);
  EXPECT_EQ(again.weights, apart.weights);
  EXPECT_EQ(Load().report.use, CacheUse::kMapped);
}

TEST_F(WeightCacheTest, SmallModelsAndThoseWhoDontWantOneHaveNoFile) {
  EXPECT_EQ(Load({}).report.use, CacheUse::kOff);
  EXPECT_EQ(Load({.folder = cache_.path()}).report.use, CacheUse::kSmall);
  EXPECT_EQ(Load({.folder = cache_.path(), .min_bytes = 0}, "reference").report.use,
            CacheUse::kUnsupported);
  EXPECT_TRUE(fs::is_empty(cache_.path()));
}

TEST_F(WeightCacheTest, AModelThatWasReplacedIsPackedAgain) {
  const Loaded first = Load();
  const auto written = fs::last_write_time(model_.File("model.safetensors"));
  TinyCheckpoint other;
  std::string& codes = other.Tensor("model.layers.0.mlp.up_proj.weight").bytes;
  codes[0] = codes[0] == 0x55 ? 0x66 : 0x55;  // the size stays
  other.WriteTo(model_);
  fs::last_write_time(model_.File("model.safetensors"), written);  // what cp -p would do
  const Loaded second = Load();
  EXPECT_EQ(second.report.use, CacheUse::kWritten);
  EXPECT_EQ(second.report.file, first.report.file);
  EXPECT_EQ(second.report.note, "");
  EXPECT_NE(second.weights, first.weights);
  EXPECT_EQ(Load().weights, second.weights);
}

TEST_F(WeightCacheTest, ADamagedTableIsNoticedAndTheFileMadeAnew) {
  const Loaded first = Load();
  Damage(first.report.file, -50);
  const Loaded second = Load();
  EXPECT_EQ(second.report.use, CacheUse::kWritten);
  EXPECT_NE(second.report.note.find("its table is damaged"), std::string::npos)
      << second.report.note;
  EXPECT_EQ(second.weights, first.weights);
  EXPECT_EQ(Load().report.use, CacheUse::kMapped);
}

TEST_F(WeightCacheTest, ACutFileIsMadeAnew) {
  const Loaded first = Load();
  const auto size = fs::file_size(first.report.file);
  for (const uint64_t length : {uint64_t{0}, uint64_t{1}, uint64_t{15}, uint64_t{4096}, size - 1}) {
    fs::resize_file(first.report.file, length);
    const Loaded again = Load();
    EXPECT_EQ(again.report.use, CacheUse::kWritten) << length;
    EXPECT_EQ(again.weights, first.weights);
  }
}

TEST_F(WeightCacheTest, TheCheckFindsADamagedWeight) {
  const Loaded first = Load();
  Damage(first.report.file, 4096);
  EXPECT_EQ(Load().report.use, CacheUse::kMapped);  // nobody looked
  const Loaded checked = Check();
  EXPECT_EQ(checked.report.use, CacheUse::kWritten);
  EXPECT_NE(checked.report.note.find("blk.0."), std::string::npos) << checked.report.note;
  EXPECT_EQ(checked.weights, first.weights);
  EXPECT_EQ(Check().report.use, CacheUse::kMapped);
}

TEST_F(WeightCacheTest, AFolderThatCannotBeMadeOnlyLosesTheCache) {
  cache_.Write("file", "x");
  const Loaded loaded = Load({.folder = cache_.File("file") + "/below", .min_bytes = 0});
  EXPECT_EQ(loaded.report.use, CacheUse::kFailed);
  EXPECT_NE(loaded.report.note.find("cannot write"), std::string::npos) << loaded.report.note;
  EXPECT_EQ(loaded.weights, Load({}).weights);
}

}  // namespace
}  // namespace tern
