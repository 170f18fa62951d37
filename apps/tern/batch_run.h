// Prompts of a file through an engine, answers into another file.
#pragma once

#include <chrono>
#include <optional>
#include <unordered_map>

#include "batch/prompt_file.h"
#include "batch/result_file.h"
#include "engine/engine.h"
#include "engine/streaming.h"
#include "progress.h"

namespace tern::cli {

struct BatchOptions {
  StreamingConfig streaming = {};
  bool chat = false;  // prompts are messages of a user
};

struct BatchCounts {
  int64_t before = 0;    // lines that had a result already
  int64_t answered = 0;  // now
  int64_t total = 0;
};

/// Thread rule: one thread, Run once.
class BatchRun {
 public:
  /// Everything has to outlive the run. prompts must be at its beginning, and hold `total` items.
  BatchRun(Engine& engine, PromptFile& prompts, ResultFile& results, const BatchOptions& options,
           int64_t total);

  /// Until the last line has its result. Errors: results that can't be written, an engine that
  /// fails, kCancelled after Ctrl-C; what was written stays.
  Status Run();

  const BatchCounts& counts() const { return counts_; }

 private:
  using Clock = std::chrono::steady_clock;

  std::optional<StreamItem> NextRequest();
  /// The request's prompt; errors are the item's.
  Status Encode(BatchItem& item, std::vector<TokenId>& ids) const;
  bool Take(StreamResult result);
  Status Write(const BatchItem& item, const StreamResult& result);
  bool GoesOn();

  Engine& engine_;
  PromptFile& prompts_;
  ResultFile& results_;
  const BatchOptions options_;
  const ChatFamily family_;
  std::unordered_map<int64_t, BatchItem> items_;  // under way, by index
  Status status_;
  BatchCounts counts_;
  Progress progress_{"answering"};
  const Clock::time_point start_ = Clock::now();
};

}  // namespace tern::cli
