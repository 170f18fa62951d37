// The seam between the engine and whatever runs a forward pass.
#pragma once

#include <span>
#include <vector>

#include "backend/backend.h"
#include "kv/kv_cache.h"

namespace tern {

/// What a forward pass returns of the rows that are asked for. kTopLogits: logits, which may stay
/// on a device; LogitRow looks at them.
using BatchOutput = PassOutput;

/// The best logits of a row, as Backend::TopLogits has them.
struct RankedLogits {
  std::span<const float> logits;
  std::span<const TokenId> ids;
};

/// Tokens of one or several sequences, in any mix of prefill and decode. A sequence's rows stand in
/// increasing position, and all its earlier positions are in the cache already or in this batch. A
/// block may be in several tables as long as no row of the batch is stored in it.
struct Batch {
  std::span<const TokenId> tokens;                   // (rows), each in [0, vocab)
  std::span<const int32_t> positions;                // (rows), each below the decoder's positions
  std::span<const int32_t> sequences;                // (rows), each an index into tables
  std::span<const std::span<const BlockId>> tables;  // (sequences): block of positions 0..31, 32..
  std::span<const int32_t> logit_rows;               // rows that are asked for
  BatchOutput output = BatchOutput::kLogits;
};

/// Thread rule: one caller at a time.
class Executor {
 public:
  virtual ~Executor() = default;

  /// Largest number of rows of a batch.
  virtual int64_t max_rows() const = 0;

  /// Runs the batch, extends the cache, returns (logit_rows.size(), vocab) or (logit_rows.size(),
  /// dim), valid until the next call. data is null when the logits stayed where they are
  /// (kTopLogits). A row's result does not depend on the other sequences of the
  /// batch, nor on where in the cache the blocks lie. Errors: kInvalidArgument for ids, positions,
  /// sequences or blocks out of range, kDevice.
  virtual Result<FloatView> Forward(const Batch& batch, KvCache& cache) = 0;
  /// Of logits that stayed, the best of a row, until the next Forward; and all of it, until the
  /// next call. Errors: kDevice.
  virtual RankedLogits Top(int64_t /*row*/) const { return {}; }
  virtual Result<std::span<const float>> AllLogits(int64_t row) {
    return Fail(Code::kInternal, "logits of row {} were returned by Forward", row);
  }
};

/// A row of what Forward returned: all logits at hand, or the best ones and a way to the rest.
class LogitRow {
 public:
  /// All of them. NOLINTNEXTLINE(google-explicit-constructor): it is just that.
  LogitRow(std::span<const float> all) : all_(all), vocab_(all.size()) {}
  /// vocab: the first so many logits of a row count.
  LogitRow(Executor& executor, FloatView logits, int64_t row, size_t vocab)
      : executor_(logits.data == nullptr ? &executor : nullptr), row_(row), vocab_(vocab) {
    if (executor_ == nullptr) all_ = {logits.Row(row), vocab};
  }

  size_t vocab() const { return vocab_; }
  /// Empty when all are at hand.
  RankedLogits Top() const { return executor_ == nullptr ? RankedLogits{} : executor_->Top(row_); }
  /// (vocab). Errors: as Executor::AllLogits.
  Result<std::span<const float>> All() const {
    if (executor_ == nullptr) return all_;
    TERN_ASSIGN_OR_RETURN(const auto all, executor_->AllLogits(row_));
    return all.first(vocab_);
  }

 private:
  Executor* executor_ = nullptr;  // null: not needed
  int64_t row_ = 0;
  std::span<const float> all_;
  size_t vocab_ = 0;
};

/// Consecutive tokens of one sequence as a batch. tokens and table must outlive the batches.
class SequenceRows {
 public:
  /// The first of the tokens is at `position`.
  SequenceRows(std::span<const TokenId> tokens, int64_t position, std::span<const BlockId> table);

  /// Valid as long as this object and logit_rows.
  Batch Wanting(std::span<const int32_t> logit_rows,
                BatchOutput output = BatchOutput::kLogits) const {
    return {tokens_, positions_, sequences_, {&table_, 1}, logit_rows, output};
  }
  Batch WantingAll() const { return Wanting(rows_); }
  Batch WantingLast(BatchOutput output = BatchOutput::kLogits) const {
    return Wanting(std::span(rows_).last(1), output);
  }

 private:
  std::span<const TokenId> tokens_;
  std::span<const BlockId> table_;
  std::vector<int32_t> positions_, sequences_, rows_;
};

}  // namespace tern
