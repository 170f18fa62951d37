#include "engine/generator.h"

#include <algorithm>
#include <chrono>

#include "engine/answer.h"

namespace tern {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

bool IsSet(const std::atomic<bool>* flag) {
  return flag != nullptr && flag->load(std::memory_order_relaxed);
}

}  // namespace

Status Generator::CheckPrompt(std::span<const TokenId> prompt) const {
  if (prompt.empty()) return Fail(Code::kInvalidArgument, "the prompt is empty");
  if (std::ssize(prompt) >= context_)
    return Fail(Code::kInvalidArgument,
                "the prompt has {} tokens, expected fewer than the context of {}", prompt.size(),
                context_);
  for (const TokenId id : prompt)
    if (id < 0 || id >= vocab_)
      return Fail(Code::kInvalidArgument,
                  "token id {} of the prompt is not in the vocabulary of {}", id, vocab_);
  return {};
}

Result<LogitRow> Generator::Extend(std::span<const TokenId> ids, const std::atomic<bool>* cancel) {
  FloatView logits;
  const auto chunk = static_cast<size_t>(executor_.max_rows());
  for (size_t done = 0; done < ids.size(); done += chunk) {
    if (IsSet(cancel)) return Fail(Code::kCancelled, "cancelled");
    const auto part = ids.subspan(done, std::min(chunk, ids.size() - done));
    const SequenceRows rows(part, std::ssize(sequence_), table_);
    const bool is_last = done + part.size() == ids.size();
    TERN_ASSIGN_OR_RETURN(
        logits,
        executor_.Forward(is_last ? rows.WantingLast(BatchOutput::kTopLogits) : rows.Wanting({}),
                          cache_));
    sequence_.insert(sequence_.end(), part.begin(), part.end());
  }
  // Rows of the embedding beyond the vocabulary are padding and never sampled.
  return LogitRow(
      executor_, logits, 0,
      static_cast<size_t>(std::min<int64_t>(logits.cols, std::ssize(tokenizer_.spec().tokens))));
}

Result<GenerationResult> Generator::Generate(std::span<const TokenId> prompt,
                                             const GenerationOptions& options,
                                             const TextCallback& on_text,
                                             const std::atomic<bool>* cancel) {
  TERN_TRY(CheckPrompt(prompt));
  TERN_TRY(CheckGeneration(options, vocab_));

  GenerationResult result;
  // The last token of the prompt is run again even when it is cached: its logits are needed.
  const auto same = std::mismatch(sequence_.begin(), sequence_.end(), prompt.begin(), prompt.end());
  const size_t cached =
      std::min<size_t>(static_cast<size_t>(same.first - sequence_.begin()), prompt.size() - 1);
  sequence_.resize(cached);
  result.stats.prompt_tokens = std::ssize(prompt);
  result.stats.cached_tokens = static_cast<int64_t>(cached);

  if (options.max_tokens <= 0) return result;
  const auto start = Clock::now();
  auto logits = Extend(prompt.subspan(cached), cancel);
  result.stats.prefill_seconds = SecondsSince(start);

  Answer answer(tokenizer_, prompt, options,
                options.grammar ? constrain_(options.grammar) : nullptr);
  const auto decode_start = Clock::now();
  std::optional<FinishReason> finish;
  while (!finish) {
    Event event;
    if (!logits) {
      if (logits.error().code != Code::kCancelled) return tl::unexpected(logits.error());
      answer.End(FinishReason::kCancelled, event);
    } else {
      TERN_ASSIGN_OR_RETURN(const TokenId id, answer.Step(*logits, event));
      if (!event.finish && std::ssize(sequence_) >= context_)
        answer.End(FinishReason::kContext, event);
      else if (!event.finish)
        logits = Extend({&id, 1}, cancel);
    }
    result.text += event.text;
    result.ids.insert(result.ids.end(), event.ids.begin(), event.ids.end());
    finish = event.finish;
    if (!event.text.empty() && on_text && !on_text(event.text)) finish = FinishReason::kCancelled;
  }
  result.finish = *finish;
  result.stats.generated_tokens = answer.generated();
  result.stats.decode_seconds = SecondsSince(decode_start);
  return result;
}

}  // namespace tern
