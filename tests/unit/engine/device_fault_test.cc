// Backends that fail: the pass's requests end with the device's error, and the engine goes on.
#include <gtest/gtest.h>

#include <atomic>

#include "engine/engine.h"
#include "registry/registry.h"

namespace tern {
namespace {

enum class Place : int { kNone, kBegin, kEnd, kFetch, kAllocate, kCopyOut, kCopyIn };

struct Fault {
  std::atomic<Place> place = Place::kNone;
  std::atomic<bool> stays = false;
  std::atomic<uint64_t> memory = 0;  // of its own; 0: none
  std::atomic<int64_t> kept = -1, packed = 0;

  Status Meet(Place here) {
    if (place != here) return {};
    if (!stays) place = Place::kNone;
    if (here == Place::kAllocate) return Fail(Code::kResourceExhausted, "no memory for this");
    return Fail(Code::kDevice, "the device is lost");
  }
};

// A CPU whose passes fail where they are told to.
class FaultyBackend final : public Backend {
 public:
  FaultyBackend(std::unique_ptr<Backend> inner, Fault& fault)
      : inner_(std::move(inner)), fault_(fault) {}

  std::string_view name() const override { return "faulty"; }
  int threads() const override { return 1; }
  Result<Buffer> Allocate(size_t bytes) override {
    TERN_TRY(fault_.Meet(Place::kAllocate));
    return inner_->Allocate(bytes);
  }
  std::optional<uint64_t> free_memory() const override {
    return fault_.memory == 0 ? std::nullopt : std::optional<uint64_t>(fault_.memory);
  }
  Status KeepLayers(int64_t keep, int64_t) override {
    fault_.kept = keep;
    return {};
  }
  Status CopyOut(const StridedBytes& from, std::byte* to) override {
    TERN_TRY(fault_.Meet(Place::kCopyOut));
    return inner_->CopyOut(from, to);
  }
  Result<uint64_t> CopyIn(const std::byte* from, const StridedBytes& to) override {
    TERN_TRY(fault_.Meet(Place::kCopyIn));
    return inner_->CopyIn(from, to);
  }
  Result<Buffer> Upload(std::span<const float> values) override { return inner_->Upload(values); }
  void Copy(const void* from, size_t bytes, void* to) noexcept override {
    inner_->Copy(from, bytes, to);
  }
  Result<std::unique_ptr<PackedTernary>> Pack(TernaryMatrix matrix) override {
    ++fault_.packed;
    return inner_->Pack(std::move(matrix));
  }
  Result<std::unique_ptr<TokenTable>> PackTable(TableSource table, TableForm form) override {
    return inner_->PackTable(std::move(table), form);
  }
  Result<bool> BeginPass(const PassInfo&) override {
    TERN_TRY(fault_.Meet(Place::kBegin));
    return true;
  }
  Status EndPass() override { return fault_.Meet(Place::kEnd); }
  Result<FloatView> Fetch(FloatView rows) override {
    TERN_TRY(fault_.Meet(Place::kFetch));
    return rows;
  }
  void Embed(std::span<const TokenId> ids, const TokenTable& table, FloatView x) noexcept override {
    inner_->Embed(ids, table, x);
  }
  void NormQuantize(FloatView x, const float* gain, float eps,
                    const LinearInput& out) noexcept override {
    inner_->NormQuantize(x, gain, eps, out);
  }
  void Linear(const LinearInput& x, const PackedTernary& w, FloatView y,
              Epilogue epilogue) noexcept override {
    inner_->Linear(x, w, y, epilogue);
  }
  void RopeStoreKv(FloatView qkv, const HeadShape& shape, const RopeOptions& rope,
                   const StepInfo& step, const KvLayer& kv) noexcept override {
    inner_->RopeStoreKv(qkv, shape, rope, step, kv);
  }
  void Attention(FloatView q, const HeadShape& shape, const StepInfo& step, const KvLayer& kv,
                 FloatView out) noexcept override {
    inner_->Attention(q, shape, step, kv, out);
  }
  void LinearGated(const LinearInput& x, const PackedTernary& w, GateFunction function,
                   FloatView scratch, FloatView out) noexcept override {
    inner_->LinearGated(x, w, function, scratch, out);
  }
  void GatedActivation(FloatView gate_up, GateFunction function, FloatView out) noexcept override {
    inner_->GatedActivation(gate_up, function, out);
  }
  void NormRows(FloatView x, std::span<const int32_t> row_ids, const float* gain, float eps,
                FloatView out) noexcept override {
    inner_->NormRows(x, row_ids, gain, eps, out);
  }
  void Logits(FloatView x, const TokenTable& table, FloatView logits) noexcept override {
    inner_->Logits(x, table, logits);
  }
  Status Synchronize() override { return inner_->Synchronize(); }

 private:
  const std::unique_ptr<Backend> inner_;
  Fault& fault_;
};

class DeviceFault : public testing::Test {
 protected:
  Result<std::unique_ptr<Engine>> Create(EngineOptions options = {.kv_tokens = 512}) {
    auto backend = CreateBackend("cpu", {.threads = 1});
    EXPECT_TRUE(backend);
    options.session.model = TERN_SOURCE_DIR "/models/tern-stories.gguf";
    return Engine::Create(std::make_unique<FaultyBackend>(std::move(*backend), fault_), options);
  }

  struct Ended {
    std::vector<TokenId> ids;
    std::optional<Error> error;
    bool operator==(const Ended& other) const { return ids == other.ids; }
  };
  std::vector<Ended> Ask(Engine& engine, int n, int64_t tokens = 6) {
    std::vector<RequestHandle> handles;
    for (int i = 0; i < n; ++i) {
      Request request;
      request.prompt = engine.tokenizer().Encode("Once upon a time", {.add_bos = true});
      request.options.max_tokens = tokens;
      request.options.sampling.temperature = 0;
      auto handle = engine.Submit(std::move(request));
      EXPECT_TRUE(handle) << handle.error().message;
      handles.push_back(std::move(*handle));
    }
    std::vector<Ended> all;
    for (RequestHandle& handle : handles) {
      Ended& one = all.emplace_back();
      while (auto event = handle.Next()) {
        one.ids.insert(one.ids.end(), event->ids.begin(), event->ids.end());
        if (event->error) one.error = event->error;
      }
    }
    return all;
  }

  Fault fault_;
};

TEST_F(DeviceFault, APassThatFailsAnywhereEndsItsRequestsAndTheNextAreAnswered) {
  auto engine = Create();
  ASSERT_TRUE(engine) << engine.error().message;
  const Ended want = Ask(**engine, 1)[0];
  EXPECT_FALSE(want.error);
  EXPECT_EQ(want.ids.size(), 6u);
  for (const Place place : {Place::kBegin, Place::kEnd, Place::kFetch}) {
    fault_.place = place;
    const Ended failed = Ask(**engine, 1)[0];
    ASSERT_TRUE(failed.error) << static_cast<int>(place);
    EXPECT_EQ(failed.error->code, Code::kDevice);
    EXPECT_EQ(failed.error->message, "the device is lost");
    for (const Ended& next : Ask(**engine, 3)) {
      EXPECT_FALSE(next.error);
      EXPECT_EQ(next, want);
    }
    const Status ok = (*engine)->CheckIntegrity();
    EXPECT_TRUE(ok) << ok.error().message;
    EXPECT_EQ((*engine)->Stats().kv_blocks_used, 0);
  }
  EXPECT_EQ((*engine)->Stats().failed, 3u);
}

TEST_F(DeviceFault, ALostDeviceFailsEveryRequestAndTheEngineStillSpeaks) {
  auto engine = Create();
  ASSERT_TRUE(engine) << engine.error().message;
  fault_.stays = true;
  fault_.place = Place::kFetch;
  for (int i = 0; i < 3; ++i)
    for (const Ended& ended : Ask(**engine, 4)) {
      ASSERT_TRUE(ended.error);
      EXPECT_EQ(ended.error->code, Code::kDevice);
      EXPECT_TRUE(ended.ids.empty());
    }
  const auto embedded = (*engine)->Embed({{1, 2, 3}});
  ASSERT_FALSE(embedded);
  EXPECT_EQ(embedded.error().code, Code::kDevice);
  EXPECT_TRUE((*engine)->CheckIntegrity());
  EXPECT_EQ((*engine)->Stats().kv_blocks_used, 0);
}

TEST_F(DeviceFault, BlocksThatCannotGoToTheHostOrComeBackAreComputedAgain) {
  const EngineOptions little = {
      .kv_tokens = 128, .prefix_cache = false, .swap_memory = uint64_t{8} << 20};
  auto engine = Create(little);
  ASSERT_TRUE(engine) << engine.error().message;
  const std::vector<Ended> want = Ask(**engine, 4, 60);
  EXPECT_GT((*engine)->Stats().swapped_blocks, 0u);
  for (const Ended& one : want) EXPECT_EQ(one.ids.size(), 60u);
  for (const Place place : {Place::kCopyOut, Place::kCopyIn})
    for (const bool stays : {true, false}) {
      fault_.stays = stays;
      fault_.place = place;
      for (size_t i = 0; const Ended& one : Ask(**engine, 4, 60)) {
        EXPECT_FALSE(one.error);
        EXPECT_EQ(one, want[i++]);
      }
      EXPECT_EQ(fault_.place, stays ? place : Place::kNone) << "was not met";
      fault_.place = Place::kNone;
      const Status ok = (*engine)->CheckIntegrity();
      EXPECT_TRUE(ok) << ok.error().message;
      EXPECT_EQ((*engine)->Stats().kv_blocks_used, 0);
      EXPECT_EQ((*engine)->Stats().swap_slots_used, 0);
    }
}

TEST_F(DeviceFault, LayersThatHaveNoRoomAreLeftOutOrTheModelIsRefusedBeforeItIsPacked) {
  EngineOptions options = {.kv_tokens = 512, .swap_memory = 0};
  fault_.memory = uint64_t{8} << 30;
  EXPECT_TRUE(Create(options));
  EXPECT_EQ(fault_.kept, -1);
  // What everything but the layers takes; a layer takes 0.4 MB.
  uint64_t low = 0, high = uint64_t{8} << 30;
  while (high - low > 1000) {
    fault_.memory = (low + high) / 2;
    (Create(options) ? high : low) = fault_.memory;
  }
  fault_.memory = low;
  fault_.packed = 0;
  const auto refused = Create(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_NE(refused.error().message.find("tern-stories.gguf: the device has "), std::string::npos)
      << refused.error().message;
  EXPECT_EQ(fault_.packed, 0);
  const uint64_t layer = uint64_t{410} << 10;
  for (const int64_t keep : {0, 3, 6}) {
    fault_.memory = high + static_cast<uint64_t>(keep) * layer + layer / 2;
    EXPECT_TRUE(Create(options));
    EXPECT_EQ(fault_.kept, keep);
  }
  options.session.gpu_layers = 7;
  EXPECT_FALSE(Create(options));
  options.session.gpu_layers = 4;
  EXPECT_TRUE(Create(options));
  EXPECT_EQ(fault_.kept, 4);
}

TEST_F(DeviceFault, AnEngineThatDoesNotFitSaysSo) {
  fault_.stays = true;
  fault_.place = Place::kAllocate;
  const auto engine = Create();
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, Code::kResourceExhausted);
  EXPECT_NE(engine.error().message.find("no memory for this"), std::string::npos);
}

}  // namespace
}  // namespace tern
