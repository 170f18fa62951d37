// The seam between the engine and whatever runs a forward pass.
#pragma once

#include <span>
#include <vector>

#include "backend/backend.h"
#include "kv/kv_cache.h"

namespace tern {

/// What a forward pass returns of the rows that are asked for: logits, or the hidden state after
/// the last norm.
enum class BatchOutput : uint8_t { kLogits, kHidden };

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
  /// dim), valid until the next call. A row's result does not depend on the other sequences of the
  /// batch, nor on where in the cache the blocks lie. Errors: kInvalidArgument for ids, positions,
  /// sequences or blocks out of range, kDevice.
  virtual Result<FloatView> Forward(const Batch& batch, KvCache& cache) = 0;
};

/// Consecutive tokens of one sequence as a batch. tokens and table must outlive the batches.
class SequenceRows {
 public:
  /// The first of the tokens is at `position`.
  SequenceRows(std::span<const TokenId> tokens, int64_t position, std::span<const BlockId> table);

  /// Valid as long as this object and logit_rows.
  Batch Wanting(std::span<const int32_t> logit_rows) const {
    return {tokens_, positions_, sequences_, {&table_, 1}, logit_rows};
  }
  Batch WantingAll() const { return Wanting(rows_); }
  Batch WantingLast() const { return Wanting(std::span(rows_).last(1)); }

 private:
  std::span<const TokenId> tokens_;
  std::span<const BlockId> table_;
  std::vector<int32_t> positions_, sequences_, rows_;
};

}  // namespace tern
