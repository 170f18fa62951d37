#include "engine/streaming.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <utility>

namespace tern {
namespace {

using Clock = std::chrono::steady_clock;

/// Requests that have something new, from the engine's thread to the reader's.
class ReadyList {
 public:
  void Add(int64_t key) {
    {
      const std::lock_guard lock(mutex_);
      keys_.insert(key);
    }
    changed_.notify_one();
  }
  std::set<int64_t> Wait(std::optional<Clock::time_point> until) {
    std::unique_lock lock(mutex_);
    const auto something = [this] { return !keys_.empty(); };
    if (until)
      changed_.wait_until(lock, *until, something);
    else
      changed_.wait(lock, something);
    return std::exchange(keys_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<int64_t> keys_;
};

class Streaming {
 public:
  Streaming(const Submitter& submit, const StreamingConfig& config,
            const std::function<std::optional<StreamItem>()>& source, const StreamSink& sink)
      : submit_(submit), config_(config), source_(source), sink_(sink) {}

  Status Run() {
    for (;;) {
      Fill();
      if (flights_.empty() && !held_) return {};
      for (const int64_t key : ready_.Wait(NextDue())) Collect(key);
      if (!Deliver()) return Fail(Code::kCancelled, "stopped");
    }
  }

 private:
  /// A request on its way.
  struct Flight {
    std::optional<RequestHandle> handle = {};  // until it has ended
    StreamResult result = {};
    std::vector<StreamPiece> gathered = {};  // (answers), not yet handed on
    size_t steps = 0;                        // in them
    Clock::time_point since = {};            // the first of these

    bool ended() const { return !handle; }
  };

  // Begins as many as there is room for.
  void Fill() {
    while (flights_.size() < config_.capacity) {
      if (!held_ && !exhausted_) {
        held_ = source_();
        exhausted_ = !held_;
      }
      if (!held_) return;
      held_->request.bulk = !sink_.on_piece;
      auto handle = submit_(held_->request);
      if (!handle && handle.error().code == Code::kResourceExhausted) return;
      const int64_t key = next_key_++;
      Flight& flight = flights_[key];
      flight.result.index = held_->index;
      const auto answers = static_cast<size_t>(std::max(1, held_->request.n));
      held_.reset();
      if (!handle) {
        flight.result.error = handle.error();
        ready_.Add(key);
        continue;
      }
      flight.result.answers.resize(answers);
      flight.gathered.resize(answers);
      flight.handle.emplace(std::move(*handle));
      flight.handle->OnReady([this, key] { ready_.Add(key); });
    }
  }

  void Collect(int64_t key) {
    const auto at = flights_.find(key);
    if (at == flights_.end() || at->second.ended()) return;
    Flight& flight = at->second;
    while (auto event = flight.handle->TryNext()) {
      const auto i = static_cast<size_t>(event->index);
      GenerationResult& answer = flight.result.answers[i];
      answer.text += event->text;
      answer.ids.insert(answer.ids.end(), event->ids.begin(), event->ids.end());
      if (event->error) flight.result.error = std::move(event->error);
      if (event->finish) {
        answer.finish = *event->finish;
        answer.stats = event->stats;
      }
      StreamPiece& piece = flight.gathered[i];
      piece.text += event->text;
      piece.ids.insert(piece.ids.end(), event->ids.begin(), event->ids.end());
      if (flight.steps++ == 0) flight.since = Clock::now();
    }
    if (flight.handle->Finished()) flight.handle.reset();
  }

  // When something has to be handed on though nothing new comes; nothing: not before it does.
  std::optional<Clock::time_point> NextDue() const {
    std::optional<Clock::time_point> due;
    const auto consider = [&](Clock::time_point time) { due = due ? std::min(*due, time) : time; };
    if (held_) consider(Clock::now() + config_.latency);  // the engine may have room again
    for (const auto& [key, flight] : flights_) {
      const bool has = flight.steps > 0 || flight.ended();
      if (has && config_.mode == StreamingMode::kTimed)
        consider(tick_);
      else if (has)
        consider(flight.since + config_.latency);
      if (config_.mode == StreamingMode::kSequential) break;
    }
    return due;
  }

  bool Deliver() {
    const auto now = Clock::now();
    if (config_.mode == StreamingMode::kTimed) {
      if (now < tick_) return true;
      tick_ = now + config_.latency;
    }
    for (auto at = flights_.begin(); at != flights_.end();) {
      Flight& flight = at->second;
      const bool due = config_.mode == StreamingMode::kTimed || flight.ended() ||
                       flight.steps >= config_.buffer || now - flight.since >= config_.latency;
      if (due && flight.steps > 0 && !HandOn(flight)) return false;
      if (!flight.ended()) {
        if (config_.mode == StreamingMode::kSequential) return true;
        ++at;
        continue;
      }
      if (sink_.on_result && !sink_.on_result(std::move(flight.result))) return false;
      at = flights_.erase(at);
    }
    return true;
  }

  bool HandOn(Flight& flight) {
    flight.steps = 0;
    for (size_t i = 0; i < flight.gathered.size(); ++i) {
      StreamPiece piece = std::exchange(flight.gathered[i], {});
      if (piece.text.empty() && piece.ids.empty()) continue;
      piece.index = flight.result.index;
      piece.answer = static_cast<int>(i);
      if (sink_.on_piece && !sink_.on_piece(std::move(piece))) return false;
    }
    return true;
  }

  const Submitter& submit_;
  const StreamingConfig& config_;
  const std::function<std::optional<StreamItem>()>& source_;
  const StreamSink& sink_;
  ReadyList ready_;                    // outlives the handles, which call it
  std::map<int64_t, Flight> flights_;  // in the order of their beginning
  std::optional<StreamItem> held_;     // the engine had no room for it
  bool exhausted_ = false;
  int64_t next_key_ = 0;
  Clock::time_point tick_ = {};
};

}  // namespace

Status RunStreaming(const Submitter& submit, const StreamingConfig& config,
                    const std::function<std::optional<StreamItem>()>& source,
                    const StreamSink& sink) {
  if (config.capacity == 0 || config.buffer == 0)
    return Fail(Code::kInvalidArgument, "capacity {} and buffer {}, expected at least 1",
                config.capacity, config.buffer);
  return Streaming(submit, config, source, sink).Run();
}

}  // namespace tern
