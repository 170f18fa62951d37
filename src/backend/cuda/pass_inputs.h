// What a pass is about, on the device: ids, positions, tables.
#pragma once

#include <cstdint>
#include <span>

#include "backend/backend.h"
#include "backend/cuda/device_context.h"
#include "backend/cuda/kernels/attention.h"

namespace tern::cuda {

/// The arrays stand at the same addresses in every pass of at most capacity rows, so that a
/// recorded pass finds them. Thread rule: the backend's.
class PassInputs {
 public:
  /// Copies a pass's arrays to the device. run_rows: rows of a run at most
  /// (kernels/attention.h). Errors: kResourceExhausted, kDevice.
  Status Load(DeviceContext& context, const PassInfo& pass, int run_rows);
  /// Whether these spans are those of the last Load.
  bool Has(std::span<const TokenId> tokens) const { return tokens.data() == tokens_.data(); }
  bool Has(const StepInfo& step) const { return step.positions.data() == positions_.data(); }
  bool HasLogitRows(std::span<const int32_t> rows) const {
    return rows.data() == logit_rows_.data();
  }
  /// Later ops bring spans of their own.
  void Forget() { tokens_ = {}, positions_ = {}, logit_rows_ = {}; }

  const DeviceStep& step() const { return step_; }
  const int32_t* device_tokens() const { return device_tokens_; }
  const int32_t* device_logit_rows() const { return device_logit_rows_; }
  int singles() const { return singles_; }
  int runs() const { return runs_; }
  /// Every row is the only one of its sequence.
  bool alone() const { return alone_; }
  /// The largest position of a single row, plus one.
  int single_positions() const { return single_positions_; }

 private:
  std::span<const TokenId> tokens_;
  std::span<const int32_t> positions_, logit_rows_;
  int64_t capacity_ = 0;  // rows
  size_t words_ = 0;      // of the buffers
  Buffer device_;
  PinnedBuffer host_;
  DeviceStep step_;
  const int32_t* device_tokens_ = nullptr;
  const int32_t* device_logit_rows_ = nullptr;
  int singles_ = 0, runs_ = 0, single_positions_ = 0;
  bool alone_ = false;
};

}  // namespace tern::cuda
