#include "backend/trace/trace_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>

#include "backend/reference/reference_backend.h"
#include "engine/session.h"
#include "registry/registry.h"

namespace tern {
namespace {

using testing::ElementsAre;

class Recorder final : public OpObserver {
 public:
  bool wants_ops() const noexcept override { return on; }
  void OnOp(const OpCall& call) noexcept override { calls.push_back(call); }

  bool on = true;
  std::vector<OpCall> calls;
};

// As a device with a queue has it: work is done, and faults are met, in Synchronize().
class QueueBackend final : public Backend {
 public:
  std::string_view name() const override { return "queue"; }
  int threads() const override { return 1; }
  Result<Buffer> Allocate(size_t) override { return Fail(Code::kResourceExhausted, "none"); }
  Result<Buffer> Upload(std::span<const float>) override {
    return Fail(Code::kResourceExhausted, "none");
  }
  void Copy(const void*, size_t, void*) noexcept override { ++queued; }
  Result<std::unique_ptr<PackedTernary>> Pack(TernaryMatrix) override {
    return Fail(Code::kUnsupported, "none");
  }
  Result<std::unique_ptr<TokenTable>> PackTable(TableSource, TableForm) override {
    return Fail(Code::kUnsupported, "none");
  }
  void Embed(std::span<const TokenId>, const TokenTable&, FloatView) noexcept override {}
  void NormQuantize(FloatView, const float*, float, const LinearInput&) noexcept override {}
  void Linear(const LinearInput&, const PackedTernary&, FloatView, Epilogue) noexcept override {}
  void RopeStoreKv(FloatView, const HeadShape&, const RopeOptions&, const StepInfo&,
                   const KvLayer&) noexcept override {}
  void Attention(FloatView, const HeadShape&, const StepInfo&, const KvLayer&,
                 FloatView) noexcept override {}
  void LinearGated(const LinearInput&, const PackedTernary&, GateFunction, FloatView,
                   FloatView) noexcept override {}
  void GatedActivation(FloatView, GateFunction, FloatView) noexcept override {}
  void NormRows(FloatView, std::span<const int32_t>, const float*, float,
                FloatView) noexcept override {
    ++queued;
  }
  void Logits(FloatView, const TokenTable&, FloatView) noexcept override {}
  Status Synchronize() override {
    ++waits;
    queued = 0;
    if (++faults == fails_at) return Fail(Code::kDevice, "fault {}", faults);
    return {};
  }

  int queued = 0, waits = 0, faults = 0, fails_at = -1;
};

struct Traced {
  explicit Traced(bool synchronize) {
    auto inner = std::make_unique<QueueBackend>();
    queue = inner.get();
    backend = CreateTraceBackend(std::move(inner), recorder, synchronize);
  }
  void Call() { backend->NormRows({}, {}, nullptr, 0, {}); }

  Recorder recorder;
  QueueBackend* queue;
  std::unique_ptr<Backend> backend;
};

TEST(TraceBackend, WaitsForEachOperationWhenAsked) {
  Traced traced(true);
  traced.Call();
  EXPECT_EQ(traced.queue->queued, 0);
  traced.Call();
  EXPECT_EQ(traced.queue->waits, 2);
  EXPECT_EQ(traced.recorder.calls.size(), 2u);

  Traced loose(false);
  loose.Call();
  loose.Call();
  EXPECT_EQ(loose.queue->queued, 2);
  EXPECT_EQ(loose.queue->waits, 0);
  EXPECT_EQ(loose.recorder.calls.size(), 2u);
}

TEST(TraceBackend, DoesNothingWhileNobodyLooks) {
  Traced traced(true);
  traced.recorder.on = false;
  traced.Call();
  EXPECT_EQ(traced.queue->queued, 1);
  EXPECT_EQ(traced.queue->waits, 0);
  EXPECT_TRUE(traced.recorder.calls.empty());
}

TEST(TraceBackend, AFaultMetWhileWaitingIsReturnedOnce) {
  Traced traced(true);
  traced.queue->fails_at = 2;
  for (int i = 0; i < 4; ++i) traced.Call();
  const Status status = traced.backend->Synchronize();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "fault 2");
  EXPECT_TRUE(traced.backend->Synchronize());
  traced.queue->fails_at = traced.queue->faults + 1;
  EXPECT_EQ(traced.backend->Synchronize().error().code, Code::kDevice);
}

// The built-in model on a backend, with or without a clock.
class TracedModel : public testing::TestWithParam<const char*> {
 protected:
  void Open(bool traced) {
    auto backend = CreateBackend(GetParam(), {.threads = 2});
    ASSERT_TRUE(backend);
    if (traced) backend = CreateTraceBackend(std::move(*backend), recorder_);
    auto session =
        Session::Open(std::move(*backend), {.model = TERN_SOURCE_DIR "/models/tern-stories.gguf",
                                            .need_tokenizer = false,
                                            .context = 64,
                                            .logit_rows = 8});
    ASSERT_TRUE(session) << session.error().message;
    session_ = std::move(*session);
  }

  std::vector<uint32_t> Forward(int32_t rows, int32_t position) {
    const std::vector<TokenId> ids(static_cast<size_t>(rows), 5);
    const auto table = IdentityTable(64);
    const SequenceRows batch(ids, position, table);
    const auto logits = session_->decoder().Forward(batch.WantingAll(), session_->cache());
    EXPECT_TRUE(logits);
    std::vector<uint32_t> bits;
    for (int64_t i = 0; logits && i < logits->rows * logits->cols; ++i)
      bits.push_back(std::bit_cast<uint32_t>(logits->data[i]));
    return bits;
  }

  Recorder recorder_;
  std::unique_ptr<Session> session_;
};

TEST_P(TracedModel, GivesTheSameBits) {
  Open(false);
  const auto prompt = Forward(7, 0), token = Forward(1, 7);
  Open(true);
  EXPECT_EQ(Forward(7, 0), prompt);
  EXPECT_EQ(Forward(1, 7), token);
  EXPECT_FALSE(recorder_.calls.empty());
}

TEST_P(TracedModel, EveryOperationIsThereOnceInOrderAndInItsLayer) {
  Open(true);
  recorder_.calls.clear();
  Forward(3, 0);
  const Model& model = session_->model();
  std::vector<std::pair<std::string_view, int64_t>> want = {{"Embed", kNoLayer}};
  for (int64_t layer = 0; layer < model.config.layers; ++layer)
    for (const char* op : {"NormQuantize", "Linear", "RopeStoreKv", "Attention", "NormQuantize",
                           "Linear", "NormQuantize", "LinearGated", "NormQuantize", "Linear"})
      want.emplace_back(op, layer);
  want.emplace_back("NormRows", kNoLayer);
  want.emplace_back("Logits", kNoLayer);
  std::vector<std::pair<std::string_view, int64_t>> got;
  for (const OpCall& call : recorder_.calls) {
    got.emplace_back(call.op, call.layer);
    EXPECT_EQ(call.rows, 3);
    EXPECT_LE(call.begin, call.end);
    EXPECT_GT(call.cost.bytes, 0u);
  }
  EXPECT_EQ(got, want);
  for (size_t i = 1; i < recorder_.calls.size(); ++i)
    EXPECT_LE(recorder_.calls[i - 1].end, recorder_.calls[i].begin);
  EXPECT_EQ(recorder_.calls[2].weights, model.layers[0].qkv.matrices[0].get());
  EXPECT_EQ(recorder_.calls.back().weights, &model.Head());
}

INSTANTIATE_TEST_SUITE_P(Backends, TracedModel, testing::Values("cpu", "reference"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace tern
