// A turn of the engine's loop: from what the scheduler plans to what the answers become.
#include <cmath>
#include <utility>

#include "engine/engine_loop.h"

namespace tern {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

void EngineLoop::ProposeDrafts() {
  if (options_.draft_tokens <= 0) return;
  for (const auto& [sequence, id] : owners_) {
    if (!scheduler_.IsDecoding(sequence)) continue;
    const Live& live = live_.at(id);
    const Part& part = live.parts[static_cast<size_t>(live.parts_left.at(sequence))];
    scheduler_.SetDraft(sequence, ProposeDraft(part.answer->history(), part.draft.length()));
  }
}

void EngineLoop::Step() {
  ProposeDrafts();
  const Plan plan = scheduler_.Next();
  if (plan.items.empty()) return;
  const auto start = now_;
  for (const PlanItem& item : plan.items) NoteBegin(*Find(item.id), start);
  const auto output = Forward(plan);
  now_ = Clock::now();
  ++stats_.steps;
  stats_.last_batch_rows = std::ssize(plan.tokens);
  stats_.busy_seconds += Seconds(now_ - start);
  NotePass(plan, Seconds(now_ - start));
  if (!output) {
    FailPlan(plan, output.error());
    return;
  }
  size_t row = 0;
  for (const PlanItem& item : plan.items) {
    const auto rows = static_cast<size_t>(item.rows);
    if (plan.embedding)
      TakeEmbedding(item, *output);
    else
      TakeTokens(item, std::span(plan.tokens).subspan(row, rows), *output);
    row += rows;
  }
}

Result<FloatView> EngineLoop::Forward(const Plan& plan) {
  for (const BlockCopy& copy : plan.copies) TERN_TRY(parts_.cache.CopyBlock(copy.from, copy.to));
  const auto tables = plan.Spans();
  return parts_.executor.Forward(
      {plan.tokens, plan.positions, plan.sequences, tables, plan.logit_rows, OutputOf(plan)},
      parts_.cache);
}

// Rows one by one cost more than all at once when many answers want all of theirs.
BatchOutput EngineLoop::OutputOf(const Plan& plan) {
  if (plan.embedding) return BatchOutput::kHidden;
  int64_t rows = 0, whole = 0;
  for (const PlanItem& item : plan.items) {
    if (item.logits == 0) continue;
    const Live& live = *Find(item.id);
    const auto& answer = live.parts[static_cast<size_t>(live.parts_left.at(item.id))].answer;
    rows += item.logits;
    if (!answer->TopMayDo()) whole += item.logits;
  }
  return 4 * whole > rows ? BatchOutput::kLogits : BatchOutput::kTopLogits;
}

void EngineLoop::FailPlan(const Plan& plan, const Error& error) {
  for (const PlanItem& item : plan.items)
    if (Live* live = Find(item.id)) Fail(*live, error);
}

void EngineLoop::NoteBegin(Live& live, Clock::time_point start) {
  if (live.begun) return;
  live.begun = start;
  --queued_;
  if (parts_.monitor != nullptr) parts_.monitor->RecordQueueTime(Seconds(start - live.submitted));
}

void EngineLoop::NotePass(const Plan& plan, double seconds) {
  if (parts_.monitor == nullptr) return;
  ForwardPass pass{.end = Seconds(now_.time_since_epoch()),
                   .seconds = seconds,
                   .sequences = std::ssize(plan.items)};
  for (const PlanItem& item : plan.items) {
    const bool decodes = item.logits > 0 && item.rows - item.drafts == 1;
    (decodes ? pass.decode_rows : pass.prompt_rows) += item.rows;
    pass.positions += item.position;
  }
  pass_log_.AddPass(pass);
}

void EngineLoop::TakeEmbedding(const PlanItem& item, FloatView rows) {
  Live& live = *Find(item.id);
  // Preemption starts over. In the order of positions, so the sum doesn't depend on the chunks.
  if (item.position == 0) live.sum.assign(static_cast<size_t>(rows.cols), 0);
  for (int64_t r = item.first_logit; r < item.first_logit + item.logits; ++r)
    for (int64_t c = 0; c < rows.cols; ++c)
      live.sum[static_cast<size_t>(c)] += double{rows.Row(r)[c]};
  scheduler_.Commit(item, {});
  const int64_t tokens = std::ssize(scheduler_.Tokens(item.id));
  if (item.position + item.rows < tokens) return;
  double norm = 0;
  for (double& value : live.sum) {
    value /= static_cast<double>(tokens);
    norm += value * value;
  }
  norm = std::sqrt(norm);
  std::vector<float> result;
  for (const double value : live.sum)
    result.push_back(static_cast<float>(norm > 0 ? value / norm : 0));
  live.promise.set_value(std::move(result));
  ++stats_.finished;
  scheduler_.Remove(item.id);
  Leave(live);
}

void EngineLoop::TakeTokens(const PlanItem& item, std::span<const TokenId> run, FloatView logits) {
  Live* live = Find(item.id);
  if (live == nullptr) return;  // failed with an earlier item of the same request
  const int index = live->parts_left.at(item.id);
  Part& part = live->parts[static_cast<size_t>(index)];
  // Rows of the embedding beyond the vocabulary are padding and never sampled.
  const auto vocab = static_cast<size_t>(
      std::min<int64_t>(logits.cols, static_cast<int64_t>(parts_.tokenizer.size())));
  const auto drafts = run.last(static_cast<size_t>(item.drafts));
  std::vector<TokenId> sampled;
  Event event{.index = index};
  for (int64_t i = 0; i < item.logits; ++i) {
    const auto id =
        part.answer->Step(LogitRow(parts_.executor, logits, item.first_logit + i, vocab), event);
    if (!id) {
      Fail(*live, id.error());
      return;
    }
    sampled.push_back(*id);
    if (event.finish) break;
    const int64_t tokens = item.position + item.rows - item.drafts + std::ssize(sampled);
    if (tokens > options_.scheduler.context) {
      part.answer->End(FinishReason::kContext, event);
      break;
    }
    if (i < item.drafts && *id != drafts[static_cast<size_t>(i)]) break;
  }
  scheduler_.Commit(item, sampled);
  if (sampled.empty()) return;

  const int64_t accepted = std::ssize(sampled) - 1;
  part.draft.Record(item.drafts, accepted);
  part.stats.drafted_tokens += item.drafts;
  part.stats.accepted_tokens += accepted;
  stats_.drafted_tokens += static_cast<uint64_t>(item.drafts);
  stats_.accepted_tokens += static_cast<uint64_t>(accepted);
  NoteTokens(*live, part, std::ssize(sampled));
  if (event.finish) {
    EndPart(*live, item.id, std::move(event));
    return;
  }
  event.stats = part.stats;
  if (!live->channel->Push(std::move(event))) PauseReader(*live);
}

void EngineLoop::NoteTokens(Live& live, Part& part, int64_t tokens) {
  stats_.generated_tokens += static_cast<uint64_t>(tokens);
  part.stats.generated_tokens += tokens;
  if (part.first_token == Clock::time_point{}) {
    part.first_token = now_;
    part.stats.queue_seconds = Seconds(*live.begun - live.submitted);
    part.stats.prefill_seconds = Seconds(now_ - *live.begun);
    if (parts_.monitor != nullptr) parts_.monitor->RecordFirstToken(Seconds(now_ - live.submitted));
    if (tokens > 1) pass_log_.AddBetweenTokens(0, tokens - 1);
  } else {
    pass_log_.AddBetweenTokens(Seconds(now_ - part.last_token) / static_cast<double>(tokens),
                               tokens);
  }
  part.last_token = now_;
  part.stats.decode_seconds = Seconds(now_ - part.first_token);
}

}  // namespace tern
