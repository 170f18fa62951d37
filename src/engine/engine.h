// A model that answers many requests at once: continuous batching over a paged cache.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "engine/engine_stats.h"
#include "engine/request.h"
#include "engine/session.h"
#include "perf/monitor.h"

namespace tern {

class EngineLoop;
class KvSwap;

struct EngineOptions {
  /// Its max_rows, logit_rows, sequences, kv_positions, memory_budget and free_memory are the
  /// engine's to set.
  SessionOptions session = {};
  int64_t max_sequences = 32;  // decoded at once
  int64_t max_queue = 1024;    // requests waiting to begin; beyond: kResourceExhausted
  int64_t token_budget = 512;  // rows of one forward pass: decode first, then chunks of prompts
  uint64_t memory_budget = 0;  // bytes for weights, KV and activations; 0: the machine's
  int64_t kv_tokens = 0;  // positions in the KV cache, all sequences together; 0: from the budget,
                          // else max_sequences * context, at most half of the free memory
  bool prefix_cache = true;
  /// Bytes of the host for the cache of answers that have to wait; absent: as much as the cache
  /// takes of a device with memory of its own, at most 4 GiB and an eighth of the host's, and none
  /// without such a device. What finds no room is computed again.
  std::optional<uint64_t> swap_memory = {};
  int draft_tokens = 0;  // guessed ahead by prompt lookup; 0: off. The text is the same
  std::chrono::milliseconds stall_limit{30000};  // a reader that is behind for so long is cut off
  bool monitor = true;                           // false: nothing is timed
  MonitorOptions monitoring = {};
};

/// Answers don't depend on what else runs: the same request gives the same tokens alone and in any
/// mix. Thread rule: any thread; destroyed when no other call is in progress. Handles may outlive
/// it.
class Engine {
 public:
  /// The backend comes from the application. Errors: Session::Open's; kResourceExhausted when the
  /// memory budget is too small, with the figures; kInvalidArgument for options out of range.
  static Result<std::unique_ptr<Engine>> Create(std::unique_ptr<Backend> backend,
                                                const EngineOptions& options);
  /// Cancels everything.
  ~Engine();

  /// Errors: kInvalidArgument (empty or too long a prompt, ids outside the vocabulary, options out
  /// of range), kResourceExhausted (queue full), kCancelled (shutting down), kUnsupported.
  Result<RequestHandle> Submit(Request request);

  /// For each input the mean of the hidden states after the last norm, of length 1: (dim). Waits.
  /// Errors: as Submit, kDevice.
  Result<std::vector<std::vector<float>>> Embed(std::vector<std::vector<TokenId>> inputs);

  /// Takes no new requests and waits for those there are; after `patience` cancels them and
  /// returns kCancelled with their number.
  Status Drain(std::chrono::milliseconds patience);

  EngineStats Stats() const;
  /// Null without EngineOptions::monitor.
  PerformanceMonitor* monitor() const { return monitor_.get(); }
  const Tokenizer& tokenizer() const { return *session_->tokenizer(); }
  const Model& model() const { return session_->model(); }
  const WeightSource& source() const { return session_->source(); }
  const ExecutionPlan& plan() const { return session_->plan(); }
  /// Positions that a sequence may have.
  int64_t context() const { return context_; }
  /// For tests: blocks, sequences and requests agree. Stats() afterwards is as new as this.
  Status CheckIntegrity() const;

 private:
  Engine(std::unique_ptr<Session> session, const EngineOptions& options);

  std::unique_ptr<Session> session_;
  int64_t context_ = 0;
  std::unique_ptr<PerformanceMonitor> monitor_;
  std::unique_ptr<KvSwap> swap_;
  std::unique_ptr<EngineLoop> loop_;  // destroyed first
};

}  // namespace tern
