// Prompts of a file through an engine, answers into another file.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <optional>

#include "api/gather.h"
#include "batch/prompt_file.h"
#include "batch/result_file.h"
#include "engine/engine.h"
#include "progress.h"

namespace tern::cli {

struct BatchOptions {
  bool ordered = true;  // results in the order of the prompts, else as they end
  size_t workers = 8;   // requests under way at once
  bool chat = false;    // prompts are messages of a user
};

/// What the run has done so far.
struct BatchCounts {
  int64_t before = 0;    // lines that had a result already
  int64_t answered = 0;  // now
  int64_t errors = 0;    // of them
  int64_t total = 0;
};

/// One run. Thread rule: one thread, once.
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
  struct Flight {
    BatchItem item;
    std::optional<BatchResult> result;  // waits for its turn
  };

  /// Takes the next prompt up; false when there is none, or no place for it now.
  Result<bool> TakeUp();
  Result<std::unique_ptr<Ticket>> Submit(const BatchItem& item);
  Status Land(int64_t index, BatchResult result);
  Status Write(const Flight& flight);
  Result<BatchResult> ToResult(const v1::Result<v1::Completion>& completion) const;
  void ShowProgress();

  Engine& engine_;
  PromptFile& prompts_;
  ResultFile& results_;
  const BatchOptions options_;
  const ChatFamily family_;
  Gather gather_;
  std::map<int64_t, Flight> flights_;  // by the item's index
  std::optional<BatchItem> refused_;   // the queue was full
  bool at_end_ = false;
  BatchCounts counts_;
  Progress progress_{"answering"};
  const Clock::time_point start_ = Clock::now();
};

}  // namespace tern::cli
