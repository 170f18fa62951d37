// Delivery of many answers: what order, how soon, how much at once.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/request.h"

namespace tern {

enum class StreamingMode : uint8_t {
  kSequential,  // in the order of the requests: each piece after all of the earlier requests
  kParallel,    // as it comes
  kTimed,       // everything there is, at regular times
};

struct StreamingConfig {
  StreamingMode mode = StreamingMode::kParallel;
  size_t buffer = 32;                     // steps of an answer that are handed on as one piece
  std::chrono::milliseconds latency{50};  // that text waits for more at most; kTimed: the interval
  size_t capacity = 2000;                 // requests that are begun and not delivered

  static StreamingConfig HighThroughput() { return {}; }
  static StreamingConfig LowLatency() {
    return {StreamingMode::kSequential, 4, std::chrono::milliseconds(10), 100};
  }
};

struct StreamItem {
  int64_t index = 0;  // comes back with what is delivered
  Request request = {};
};

struct StreamPiece {
  int64_t index = 0;
  int answer = 0;  // of the request's n
  std::string text = {};
  std::vector<TokenId> ids = {};
};

struct StreamResult {
  int64_t index = 0;
  std::vector<GenerationResult> answers = {};
  std::optional<Error> error = {};  // the request was refused, or an answer couldn't go on
};

/// Both are called by RunStreaming's thread; returning false stops. While they wait, so do the
/// answers: the engine pauses requests whose events nobody takes.
struct StreamSink {
  std::function<bool(StreamPiece)> on_piece = {};    // optional
  std::function<bool(StreamResult)> on_result = {};  // once a request, after its pieces
};

/// Engine::Submit.
using Submitter = std::function<Result<RequestHandle>(Request)>;

/// Runs every request that `source` gives, until it gives nothing, with at most `capacity` of them
/// begun and not delivered; where the engine's queue is full, it waits. A request that is refused
/// for another reason is delivered with the error. Errors: kCancelled when the sink stopped it;
/// what was unfinished is cancelled.
Status RunStreaming(const Submitter& submit, const StreamingConfig& config,
                    const std::function<std::optional<StreamItem>()>& source,
                    const StreamSink& sink);

}  // namespace tern
