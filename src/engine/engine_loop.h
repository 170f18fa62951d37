// Many requests on one executor: the engine without its model file.
#pragma once

#include <atomic>
#include <condition_variable>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "engine/answer.h"
#include "engine/draft.h"
#include "engine/engine_stats.h"
#include "engine/grammar_constraint.h"
#include "engine/inbox.h"
#include "engine/pass_log.h"
#include "engine/request.h"
#include "engine/scheduler.h"
#include "model/executor.h"
#include "tokenizer/tokenizer.h"

namespace tern {

/// What a loop runs; all of it outlives the loop.
struct LoopParts {
  Executor& executor;
  KvCache& cache;
  const Tokenizer& tokenizer;
  int64_t vocab = 0;  // token ids that the executor takes
  /// Null: grammars are refused.
  ConstraintMaker constrain = {};
  /// Null: nothing is timed.
  PerformanceMonitor* monitor = nullptr;
};

struct LoopOptions {
  SchedulerOptions scheduler = {};
  int64_t max_queue = 1024;
  int draft_tokens = 0;
  std::chrono::milliseconds stall_limit{30000};
};

/// One thread of its own runs scheduler, cache, executor and sampling; everybody else sends it
/// commands and reads channels. Thread rule: any thread, but for the destructor.
class EngineLoop {
 public:
  EngineLoop(const LoopParts& parts, const LoopOptions& options);
  ~EngineLoop();

  Result<RequestHandle> Submit(Request request);
  Result<std::vector<std::vector<float>>> Embed(std::vector<std::vector<TokenId>> inputs);
  Status Drain(std::chrono::milliseconds patience);
  EngineStats Stats() const;
  Status CheckIntegrity();

 private:
  using Clock = std::chrono::steady_clock;
  using Embedding = Result<std::vector<float>>;

  /// An answer that is not finished.
  struct Part {
    std::optional<Answer> answer;  // none for an embedding
    DraftLength draft;
    GenerationStats stats = {};
    Clock::time_point first_token = {}, last_token = {};
  };
  /// A request, or an input of Embed.
  struct Live {
    RequestId id = 0;
    std::shared_ptr<Channel> channel = {};
    std::map<SequenceId, int> parts_left = {};  // to the index of the answer
    std::vector<Part> parts = {};
    Clock::time_point submitted = {};
    std::optional<Clock::time_point> begun = {};   // its first row was run
    std::optional<Clock::time_point> paused = {};  // since when
    // An embedding.
    std::promise<Embedding> promise = {};
    std::vector<double> sum = {};
  };

  Status CheckTokens(std::span<const TokenId> ids, int64_t most) const;
  Status CheckRequest(const Request& request) const;
  Status Enter();

  // On the loop's own thread.
  void Run();
  std::optional<Clock::time_point> NextWake() const;
  void Begin(Request& request, RequestId id, std::shared_ptr<Channel> channel,
             std::vector<std::unique_ptr<Constraint>> constraints, Clock::time_point submitted);
  void BeginEmbedding(std::vector<TokenId> tokens, RequestId id, std::promise<Embedding> promise);
  void Cancel(RequestId id);
  void CancelAll();
  void PauseReader(Live& live);
  void ResumeReader(RequestId id);
  void EndLate();
  void EndStalled();
  void ProposeDrafts();
  void Step();
  Result<FloatView> Forward(const Plan& plan);
  BatchOutput OutputOf(const Plan& plan);
  void FailPlan(const Plan& plan, const Error& error);
  void NoteBegin(Live& live, Clock::time_point start);
  void NotePass(const Plan& plan, double seconds);
  void TakeEmbedding(const PlanItem& item, FloatView rows);
  void TakeTokens(const PlanItem& item, std::span<const TokenId> run, FloatView logits);
  void NoteTokens(Live& live, Part& part, int64_t tokens);
  void EndPart(Live& live, SequenceId sequence, Event event);
  void Fail(Live& live, const Error& error);
  void Leave(Live& live);
  void PublishStats();
  void EndTurn();
  Live* Find(SequenceId sequence);

  const LoopParts parts_;
  const LoopOptions options_;
  const std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  std::atomic<RequestId> last_id_ = 0;
  std::atomic<int64_t> queued_ = 0;  // requests that haven't begun
  std::atomic<uint64_t> refused_ = 0;
  std::atomic<bool> draining_ = false;

  Scheduler scheduler_;
  std::map<RequestId, Live> live_;
  std::unordered_map<SequenceId, RequestId> owners_;
  SequenceId last_sequence_ = 0;
  EngineStats stats_;
  PassLog pass_log_;
  int64_t left_ = 0;  // requests that have ended in this turn
  // Of the requests that have ended in this turn.
  std::vector<std::pair<std::shared_ptr<Channel>, Event>> last_events_;
  Clock::time_point now_ = Clock::now();  // of this turn
  Clock::time_point window_ = now_;       // the rates' beginning, and the counts then
  uint64_t window_prompt_ = 0, window_generated_ = 0;

  mutable std::mutex mutex_;  // of the next three
  EngineStats published_;
  Clock::time_point published_at_ = {};
  int64_t outstanding_ = 0;  // accepted and not ended
  mutable std::condition_variable ended_;
  std::thread thread_;  // last: it uses all the others
};

}  // namespace tern
