// The speed of a generation while it runs, and a way to count what a model is fed.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "model/executor.h"

namespace tern::cli {

/// Passes everything on to another executor and says how many rows each forward pass had.
class MeteredExecutor final : public Executor {
 public:
  using Listener = std::function<void(int64_t rows)>;

  MeteredExecutor(Executor& inner, Listener listener)
      : inner_(inner), listener_(std::move(listener)) {}

  int64_t max_rows() const override { return inner_.max_rows(); }
  Result<FloatView> Forward(const Batch& batch, KvCache& cache) override {
    auto logits = inner_.Forward(batch, cache);
    if (logits) listener_(static_cast<int64_t>(batch.tokens.size()));
    return logits;
  }
  RankedLogits Top(int64_t row) const override { return inner_.Top(row); }
  Result<std::span<const float>> AllLogits(int64_t row) override { return inner_.AllLogits(row); }

 private:
  Executor& inner_;
  Listener listener_;
};

/// One line of text that is kept up to date on stderr beside what is written to stdout. When both
/// are the same terminal, the line stands at its bottom and the text scrolls above; when only
/// stderr is a terminal, the line is redrawn in place; else it is a line of a log each time.
class StatusLine {
 public:
  StatusLine();
  ~StatusLine();
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  void Show(const std::string& text);

 private:
  enum class Mode : uint8_t { kBottom, kInPlace, kLog };

  Mode mode_ = Mode::kLog;
  int rows_ = 0;  // height of the terminal, kBottom
};

/// Shows tokens per second of the prompt, then of the answer, several times a second.
class LiveStats {
 public:
  explicit LiveStats(size_t prompt_tokens) : prompt_(static_cast<int64_t>(prompt_tokens)) {}

  /// To be told of every forward pass.
  void Forwarded(int64_t rows);

 private:
  using Clock = std::chrono::steady_clock;

  StatusLine line_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point decode_start_;
  Clock::time_point next_ = start_;
  int64_t prompt_;
  int64_t prefill_ = 0;
  int64_t decoded_ = 0;
};

}  // namespace tern::cli
