#include "engine/answer.h"

#include <utility>

namespace tern {

Answer::Answer(const Tokenizer& tokenizer, std::span<const TokenId> prompt,
               const GenerationOptions& options, std::unique_ptr<Constraint> constraint)
    : tokenizer_(tokenizer),
      max_tokens_(options.max_tokens),
      min_tokens_(options.min_tokens),
      ignore_eos_(options.ignore_eos),
      top_logprobs_(options.top_logprobs),
      constraint_(std::move(constraint)),
      sampler_(options.sampling, options.logit_bias),
      detokenizer_(tokenizer, prompt.back(), options.special),
      stops_(options.stop),
      history_(prompt.begin(), prompt.end()),
      prompt_(prompt.size()) {
  if (min_tokens_ <= 0) return;
  for (TokenId id = 0; std::cmp_less(id, tokenizer.size()); ++id)
    if (tokenizer.IsEndOfGeneration(id)) ends_.push_back(id);
}

Result<TokenId> Answer::Draw(const LogitRow& logits) {
  SampleLimits limits{.filter = constraint_.get()};
  if (std::cmp_less(history_.size() - prompt_, min_tokens_)) limits.banned = ends_;
  if (const auto id = sampler_.SampleTop(logits.Top(), logits.vocab(), history_, limits))
    return *id;
  TERN_ASSIGN_OR_RETURN(const auto all, logits.All());
  return sampler_.Sample(all, history_, limits);
}

Result<TokenId> Answer::Step(const LogitRow& logits, Event& event) {
  TERN_ASSIGN_OR_RETURN(const TokenId id, Draw(logits));
  ++generated_;
  const size_t before = event.ids.size();
  const auto finish = Accept(id, event);
  if (top_logprobs_ >= 0 && event.ids.size() > before) {
    TERN_ASSIGN_OR_RETURN(const auto all, logits.All());
    event.logprobs.push_back(LogprobsOf(all, id, top_logprobs_));
  }
  if (finish) End(*finish, event);
  return id;
}

std::optional<FinishReason> Answer::Accept(TokenId id, Event& event) {
  const bool is_end = tokenizer_.IsEndOfGeneration(id);
  if (is_end && (!ignore_eos_ || constraint_)) return FinishReason::kEndOfText;
  event.ids.push_back(id);
  history_.push_back(id);
  event.text += stops_.Feed(detokenizer_.Feed(id));
  if (stops_.match()) return FinishReason::kStopString;
  // Nothing but the end could follow.
  if (constraint_ && (!constraint_->Accept(id) || constraint_->Finished()))
    return FinishReason::kEndOfText;
  if (std::cmp_greater_equal(history_.size() - prompt_, max_tokens_)) return FinishReason::kLength;
  return std::nullopt;
}

void Answer::End(FinishReason reason, Event& event) {
  event.finish = reason;
  if (!stops_.match()) {
    event.text += stops_.Feed(detokenizer_.Finish());
    event.text += stops_.Finish();
    // What was held back for a longer stop string had a shorter one in it, or the last bytes did.
    if (!stops_.match()) return;
    if (reason != FinishReason::kCancelled && reason != FinishReason::kDeadline)
      event.finish = FinishReason::kStopString;
  }
  if (event.finish == FinishReason::kStopString) event.stop = *stops_.match();
}

}  // namespace tern
