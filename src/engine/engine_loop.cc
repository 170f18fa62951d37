#include "engine/engine_loop.h"

#include <algorithm>
#include <utility>

namespace tern {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

int64_t Ticks(Clock::time_point time) { return time.time_since_epoch().count(); }

constexpr auto kRateWindow = std::chrono::seconds(1);

}  // namespace

EngineLoop::EngineLoop(const LoopParts& parts, const LoopOptions& options)
    : parts_(parts), options_(options), scheduler_(options.scheduler), pass_log_(parts.monitor) {
  PublishStats();
  thread_ = std::thread([this] { Run(); });
}

EngineLoop::~EngineLoop() {
  inbox_->Close();
  thread_.join();
}

// ---- Any thread

Status EngineLoop::CheckTokens(std::span<const TokenId> ids, int64_t most) const {
  if (ids.empty()) return tern::Fail(Code::kInvalidArgument, "the prompt is empty");
  if (std::ssize(ids) > most)
    return tern::Fail(Code::kInvalidArgument,
                      "the prompt has {} tokens, expected at most {} in a context of {}",
                      ids.size(), most, options_.scheduler.context);
  for (const TokenId id : ids)
    if (id < 0 || id >= parts_.vocab)
      return tern::Fail(Code::kInvalidArgument,
                        "token id {} of the prompt is not in the vocabulary of {}", id,
                        parts_.vocab);
  return {};
}

Status EngineLoop::CheckRequest(const Request& request) const {
  TERN_TRY(CheckTokens(request.prompt, options_.scheduler.context - 1));
  if (request.n < 1 || request.n > kMaxAnswers)
    return tern::Fail(Code::kInvalidArgument, "n: found {}, expected 1 to {}", request.n,
                      kMaxAnswers);
  if (request.options.grammar && !parts_.constrain)
    return tern::Fail(Code::kUnsupported, "this engine has no grammars");
  const auto tokens = static_cast<int64_t>(parts_.tokenizer.size());
  return CheckGeneration(request.options, std::min(parts_.vocab, tokens));
}

// A place in the queue.
Status EngineLoop::Enter() {
  if (draining_) return tern::Fail(Code::kCancelled, "the engine is shutting down");
  const int64_t most = std::max<int64_t>(1, options_.max_queue);
  if (queued_.fetch_add(1) >= most) {
    --queued_;
    ++refused_;
    return tern::Fail(Code::kResourceExhausted, "{} requests wait already, at most {} may", most,
                      most);
  }
  const std::lock_guard lock(mutex_);
  ++outstanding_;
  return {};
}

Result<RequestHandle> EngineLoop::Submit(Request request) {
  TERN_TRY(CheckRequest(request));
  std::vector<std::unique_ptr<Constraint>> constraints(static_cast<size_t>(request.n));
  if (request.options.grammar)
    for (auto& constraint : constraints) constraint = parts_.constrain(request.options.grammar);
  TERN_TRY(Enter());

  const RequestId id = ++last_id_;
  const auto post = [inbox = inbox_](auto command) {
    return [inbox, command] { inbox->Post(command); };
  };
  auto channel = std::make_shared<Channel>(
      Channel::Options{.capacity = request.buffer, .answers = request.n, .bulk = request.bulk},
      post([this, id] { ResumeReader(id); }));
  // std::function wants what it holds to be copyable.
  struct Work {
    Request request;
    std::vector<std::unique_ptr<Constraint>> constraints;
  };
  auto work = std::make_shared<Work>(Work{std::move(request), std::move(constraints)});
  inbox_->Post([this, id, channel, work, submitted = Clock::now()] {
    Begin(work->request, id, channel, std::move(work->constraints), submitted);
  });
  return RequestHandle(id, std::move(channel), post([this, id] { Cancel(id); }));
}

Result<std::vector<std::vector<float>>> EngineLoop::Embed(
    std::vector<std::vector<TokenId>> inputs) {
  for (const auto& input : inputs) TERN_TRY(CheckTokens(input, options_.scheduler.context));
  std::vector<std::future<Embedding>> futures;
  Status entered;
  for (auto& input : inputs) {
    entered = Enter();
    if (!entered) break;
    auto promise = std::make_shared<std::promise<Embedding>>();
    futures.push_back(promise->get_future());
    auto tokens = std::make_shared<std::vector<TokenId>>(std::move(input));
    inbox_->Post([this, id = ++last_id_, tokens, promise] {
      BeginEmbedding(std::move(*tokens), id, std::move(*promise));
    });
  }
  std::vector<std::vector<float>> results;
  std::optional<Error> error;
  for (auto& future : futures) {
    Embedding one = future.get();
    if (one)
      results.push_back(std::move(*one));
    else
      error = one.error();
  }
  if (error) return tl::unexpected(*error);
  TERN_TRY(entered);
  return results;
}

Status EngineLoop::Drain(std::chrono::milliseconds patience) {
  draining_ = true;
  std::unique_lock lock(mutex_);
  const auto empty = [this] { return outstanding_ == 0; };
  if (ended_.wait_for(lock, patience, empty)) return {};
  const int64_t left = outstanding_;
  lock.unlock();
  inbox_->Post([this] { CancelAll(); });
  lock.lock();
  ended_.wait(lock, empty);
  return tern::Fail(Code::kCancelled, "{} requests hadn't finished after {} ms and were cancelled",
                    left, patience.count());
}

EngineStats EngineLoop::Stats() const {
  const std::lock_guard lock(mutex_);
  EngineStats stats = published_;
  stats.refused = refused_;
  // The loop sleeps when there is nothing to do.
  if (Clock::now() - published_at_ > 2 * kRateWindow) stats.prompt_rate = stats.generated_rate = 0;
  return stats;
}

Status EngineLoop::CheckIntegrity() {
  auto promise = std::make_shared<std::promise<Status>>();
  auto future = promise->get_future();
  inbox_->Post([this, promise] {
    Status status = scheduler_.CheckIntegrity();
    size_t parts = 0;
    for (const auto& [id, live] : live_) parts += live.parts_left.size();
    if (status && (parts != owners_.size() || std::cmp_not_equal(parts, scheduler_.size())))
      status = tern::Fail(Code::kInternal, "{} answers, {} sequences, {} of them scheduled", parts,
                          owners_.size(), scheduler_.size());
    PublishStats();
    promise->set_value(status);
  });
  return future.get();
}

// ---- The loop's thread

void EngineLoop::Run() {
  while (!inbox_->closed()) {
    const bool busy = scheduler_.active() + scheduler_.waiting() > 0;
    auto commands = busy ? inbox_->Take() : inbox_->Wait(NextWake());
    now_ = Clock::now();
    for (Inbox::Command& command : commands) command();
    commands.clear();
    EndLate();
    EndStalled();
    Step();
    EndTurn();
  }
  for (Inbox::Command& command : inbox_->Take()) command();
  CancelAll();
  EndTurn();
}

std::optional<Clock::time_point> EngineLoop::NextWake() const {
  std::optional<Clock::time_point> wake;
  const auto consider = [&](Clock::time_point time) { wake = wake ? std::min(*wake, time) : time; };
  if (const auto deadline = scheduler_.NextDeadline())
    consider(Clock::time_point(Clock::duration(*deadline)));
  for (const auto& [id, live] : live_)
    if (live.paused) consider(*live.paused + options_.stall_limit);
  return wake;
}

EngineLoop::Live* EngineLoop::Find(SequenceId sequence) {
  const auto at = owners_.find(sequence);
  return at == owners_.end() ? nullptr : &live_.at(at->second);
}

void EngineLoop::Begin(Request& request, RequestId id, std::shared_ptr<Channel> channel,
                       std::vector<std::unique_ptr<Constraint>> constraints,
                       Clock::time_point submitted) {
  ++stats_.requests;
  Live& live = live_[id];
  live.id = id;
  live.channel = std::move(channel);
  live.submitted = submitted;
  std::optional<SequenceId> leader;
  for (int i = 0; i < request.n; ++i) {
    GenerationOptions options = request.options;
    options.sampling.seed += static_cast<uint64_t>(i);
    const SequenceId sequence = ++last_sequence_;
    live.parts.push_back(
        {std::optional<Answer>(std::in_place, parts_.tokenizer, request.prompt, options,
                               std::move(constraints[static_cast<size_t>(i)])),
         DraftLength(options_.draft_tokens)});
    live.parts.back().stats.prompt_tokens = std::ssize(request.prompt);
    live.parts_left[sequence] = i;
    owners_[sequence] = id;
    NewSequence added{.id = sequence,
                      .tokens = request.prompt,
                      .priority = request.priority,
                      .cache = request.cache_prompt,
                      .leader = leader};
    if (request.deadline) added.deadline = Ticks(*request.deadline);
    scheduler_.Add(std::move(added));
    if (!leader) leader = sequence;
  }
  stats_.prompt_tokens += request.prompt.size();
  if (request.options.max_tokens > 0) return;
  while (!live.parts_left.empty()) {
    const bool was_last = live.parts_left.size() == 1;
    EndPart(live, live.parts_left.begin()->first, {.finish = FinishReason::kLength});
    if (was_last) return;
  }
}

void EngineLoop::BeginEmbedding(std::vector<TokenId> tokens, RequestId id,
                                std::promise<Embedding> promise) {
  ++stats_.requests;
  stats_.prompt_tokens += tokens.size();
  Live& live = live_[id];
  live.id = id;
  live.submitted = now_;
  live.promise = std::move(promise);
  live.parts.push_back({std::nullopt, DraftLength(0)});
  const SequenceId sequence = ++last_sequence_;
  live.parts_left[sequence] = 0;
  owners_[sequence] = id;
  scheduler_.Add({.id = sequence, .tokens = std::move(tokens), .cache = false, .embedding = true});
}

void EngineLoop::Cancel(RequestId id) {
  const auto at = live_.find(id);
  if (at == live_.end()) return;
  Live& live = at->second;
  if (!live.channel) {
    Fail(live, {Code::kCancelled, "cancelled"});
    return;
  }
  for (size_t left = live.parts_left.size(); left > 0; --left) {
    const auto [sequence, index] = *live.parts_left.begin();
    Event event;
    live.parts[static_cast<size_t>(index)].answer->End(FinishReason::kCancelled, event);
    EndPart(live, sequence, std::move(event));
  }
}

void EngineLoop::CancelAll() {
  while (!live_.empty()) Cancel(live_.begin()->first);
}

void EngineLoop::PauseReader(Live& live) {
  if (live.paused) return;
  live.paused = now_;
  ++stats_.paused;
  for (const auto& [sequence, index] : live.parts_left) scheduler_.Pause(sequence);
}

void EngineLoop::ResumeReader(RequestId id) {
  const auto at = live_.find(id);
  if (at == live_.end() || !at->second.paused) return;
  at->second.paused.reset();
  --stats_.paused;
  for (const auto& [sequence, index] : at->second.parts_left) scheduler_.Resume(sequence);
}

void EngineLoop::EndLate() {
  for (const SequenceId sequence : scheduler_.Expired(Ticks(now_))) {
    Live* live = Find(sequence);
    Event event;
    live->parts[static_cast<size_t>(live->parts_left.at(sequence))].answer->End(
        FinishReason::kDeadline, event);
    EndPart(*live, sequence, std::move(event));
  }
}

void EngineLoop::EndStalled() {
  if (stats_.paused == 0) return;
  std::vector<Live*> stalled;
  for (auto& [id, live] : live_)
    if (live.paused && now_ - *live.paused >= options_.stall_limit) stalled.push_back(&live);
  for (Live* live : stalled)
    Fail(*live, {Code::kCancelled,
                 fmt::format("the reader took nothing for {} ms", options_.stall_limit.count())});
}

void EngineLoop::EndPart(Live& live, SequenceId sequence, Event event) {
  const int index = live.parts_left.at(sequence);
  Part& part = live.parts[static_cast<size_t>(index)];
  part.stats.cached_tokens = std::max<int64_t>(0, scheduler_.CachedTokens(sequence));
  if (index == 0) stats_.cached_tokens += static_cast<uint64_t>(part.stats.cached_tokens);
  event.index = index;
  event.stats = part.stats;
  const bool cut =
      event.finish == FinishReason::kCancelled || event.finish == FinishReason::kDeadline;
  scheduler_.Remove(sequence);
  owners_.erase(sequence);
  live.parts_left.erase(sequence);
  const bool is_last = live.parts_left.empty();
  if (is_last) ++(event.error ? stats_.failed : cut ? stats_.cancelled : stats_.finished);
  if (is_last) {
    last_events_.emplace_back(live.channel, std::move(event));
    Leave(live);
  } else if (!live.channel->Push(std::move(event))) {
    PauseReader(live);
  }
}

// All that is left of it ends with the error.
void EngineLoop::Fail(Live& live, const Error& error) {
  if (!live.channel) {
    ++(error.code == Code::kCancelled ? stats_.cancelled : stats_.failed);
    scheduler_.Remove(live.parts_left.begin()->first);
    live.promise.set_value(tl::unexpected(error));
    Leave(live);
    return;
  }
  for (size_t left = live.parts_left.size(); left > 0; --left)
    EndPart(live, live.parts_left.begin()->first, {.error = error});
}

// The request has ended; `live` is gone afterwards.
void EngineLoop::Leave(Live& live) {
  if (!live.begun) --queued_;
  if (live.paused) --stats_.paused;
  for (const auto& [sequence, index] : live.parts_left) owners_.erase(sequence);
  live_.erase(live.id);
  ++left_;
}

void EngineLoop::PublishStats() {
  stats_.running = scheduler_.active();
  stats_.waiting = scheduler_.waiting();
  stats_.preempted = scheduler_.preempted();
  stats_.swapped_blocks = scheduler_.swapped_blocks();
  stats_.swap_slots = scheduler_.options().swap_slots;
  stats_.swap_slots_used = scheduler_.swap_used();
  stats_.kv_blocks = scheduler_.allocator().blocks();
  stats_.kv_blocks_used = scheduler_.allocator().used();
  stats_.kv_blocks_cached = scheduler_.allocator().cached();
  if (const auto passed = now_ - window_; passed >= kRateWindow) {
    stats_.prompt_rate =
        static_cast<double>(stats_.prompt_tokens - window_prompt_) / Seconds(passed);
    stats_.generated_rate =
        static_cast<double>(stats_.generated_tokens - window_generated_) / Seconds(passed);
    window_ = now_;
    window_prompt_ = stats_.prompt_tokens;
    window_generated_ = stats_.generated_tokens;
  }
  const std::lock_guard lock(mutex_);
  published_ = stats_;
  published_at_ = now_;
}

// Who has read the last event of a request finds it in the statistics.
void EngineLoop::EndTurn() {
  PublishStats();
  if (!last_events_.empty() || scheduler_.active() == 0) pass_log_.Flush();
  for (auto& [channel, event] : last_events_) channel->Push(std::move(event));
  last_events_.clear();
  if (left_ == 0) return;
  const std::lock_guard lock(mutex_);
  outstanding_ -= std::exchange(left_, 0);
  ended_.notify_all();
}

}  // namespace tern
