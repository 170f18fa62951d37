// The built-in model under a clock: every operation is counted, and no bit of the result changes.
#include "profile/op_times.h"

#include <gtest/gtest.h>

#include <bit>
#include <sstream>

#include "engine/session.h"
#include "registry/registry.h"

namespace tern {
namespace {

std::unique_ptr<Session> Open(OpObserver* observer) {
  auto backend = CreateBackend("cpu", {.threads = 2});
  EXPECT_TRUE(backend);
  if (observer) backend = CreateTraceBackend(std::move(*backend), *observer);
  auto session =
      Session::Open(std::move(*backend), {.model = TERN_SOURCE_DIR "/models/tern-stories.gguf",
                                          .need_tokenizer = false,
                                          .context = 64,
                                          .logit_rows = 8});
  EXPECT_TRUE(session) << session.error().message;
  return std::move(*session);
}

std::vector<uint32_t> Forward(Session& session, int32_t rows, int32_t position) {
  const std::vector<TokenId> ids(static_cast<size_t>(rows), 5);
  const auto table = IdentityTable(64);
  const SequenceRows batch(ids, position, table);
  const auto logits = session.decoder().Forward(batch.WantingAll(), session.cache());
  EXPECT_TRUE(logits);
  std::vector<uint32_t> bits;
  for (int64_t i = 0; logits && i < logits->rows * logits->cols; ++i)
    bits.push_back(std::bit_cast<uint32_t>(logits->data[i]));
  return bits;
}

// Of a series in the text; -1: not there.
double ValueOf(const std::string& text, const std::string& series) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(series + " ")) return std::stod(line.substr(series.size()));
  return -1;
}

TEST(OpTimes, CountsEveryOperationByNameAndLayerAndChangesNoBit) {
  const auto plain = Open(nullptr);
  OpTimes times;
  const auto measured = Open(&times);
  EXPECT_FALSE(times.wants_ops());
  EXPECT_EQ(Forward(*measured, 7, 0), Forward(*plain, 7, 0));

  const int64_t layers = measured->model().config.layers;
  PerformanceMonitor monitor;
  times.AttachTo(monitor, layers);
  EXPECT_EQ(Forward(*measured, 1, 7), Forward(*plain, 1, 7));
  EXPECT_EQ(Forward(*measured, 3, 8), Forward(*plain, 3, 8));

  PrometheusText out;
  monitor.Render(out);
  const std::string text = out.Take();
  const auto count = [&text](const std::string& operation) {
    return ValueOf(text, "tern_operation_seconds_count{operation=\"" + operation + "\"}");
  };
  const auto each = static_cast<double>(2 * layers);
  EXPECT_EQ(count("Linear"), 3 * each);  // qkv, o, down
  EXPECT_EQ(count("LinearGated"), each);
  EXPECT_EQ(count("NormQuantize"), 4 * each);
  EXPECT_EQ(count("RopeStoreKv"), each);
  EXPECT_EQ(count("Attention"), each);
  EXPECT_EQ(count("Embed"), 2);
  EXPECT_EQ(count("NormRows"), 2);
  EXPECT_EQ(count("Logits"), 2);
  // What the layers took is what the operations took, but those outside of them.
  double in_layers = 0, all = 0;
  for (int64_t layer = 0; layer < layers; ++layer) {
    const double seconds =
        ValueOf(text, "tern_layer_seconds_total{layer=\"" + std::to_string(layer) + "\"}");
    EXPECT_GT(seconds, 0) << layer;
    in_layers += seconds;
  }
  for (const char* operation :
       {"Linear", "LinearGated", "NormQuantize", "RopeStoreKv", "Attention"})
    all +=
        ValueOf(text, std::string("tern_operation_seconds_sum{operation=\"") + operation + "\"}");
  EXPECT_NEAR(in_layers, all, 0.01 * all);
}

class Alone : public testing::Test {
 protected:
  // `times` operations that take so many seconds, each with a look of the monitor now and then.
  void Run(int count, double seconds, uint64_t bytes = 1000) {
    for (int i = 0; i < count; ++i) {
      OpCall call{.op = "Attention", .rows = 1, .cost = {.bytes = bytes}, .begin = {}, .end = {}};
      now_ += 0.25;
      call.begin = std::chrono::steady_clock::time_point(ToTicks(now_ - seconds));
      call.end = std::chrono::steady_clock::time_point(ToTicks(now_));
      times_.OnOp(call);
      if (i % 40 == 0) monitor_.Look(now_);
    }
  }
  static std::chrono::steady_clock::duration ToTicks(double seconds) {
    return std::chrono::duration_cast<std::chrono::steady_clock::duration>(
        std::chrono::duration<double>(seconds));
  }

  std::vector<PerformanceAlert> alerts_;
  PerformanceMonitor monitor_{{.on_alert = [this](const auto& a) { alerts_.push_back(a); }}};
  OpTimes times_;
  double now_ = PerformanceMonitor::Now();
};

TEST_F(Alone, ASlowerOperationIsAnAlertAndMoreWorkIsNone) {
  times_.AttachTo(monitor_, 0);
  Run(2000, 0.010);
  Run(2000, 0.020, 2000);  // a longer context
  EXPECT_EQ(alerts_.size(), 0u);
  Run(2000, 0.012);
  ASSERT_EQ(alerts_.size(), 1u);
  EXPECT_EQ(alerts_[0].operation, "Attention");
  EXPECT_NEAR(alerts_[0].ratio, 1.2, 0.02);
}

}  // namespace
}  // namespace tern
