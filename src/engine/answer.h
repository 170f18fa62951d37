// One answer in the making: from logits to tokens and text, and the reasons to end.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/event.h"
#include "tokenizer/detokenizer.h"
#include "tokenizer/stop_matcher.h"

namespace tern {

/// What the whole text has to be. Thread rule: one owner.
class Constraint : public TokenFilter {
 public:
  /// Goes on by a token that is allowed; false when it isn't.
  virtual bool Accept(TokenId id) = 0;
  /// The text is complete and nothing may follow.
  virtual bool Finished() const = 0;
};

/// Draws tokens, makes them into text, looks for the end. Thread rule: one owner; the tokenizer
/// must outlive it.
class Answer {
 public:
  /// The prompt isn't empty. `options` were checked.
  Answer(const Tokenizer& tokenizer, std::span<const TokenId> prompt,
         const GenerationOptions& options, std::unique_ptr<Constraint> constraint = {});

  /// Draws the token that follows all tokens so far, whose logits (vocab) these are, and adds it,
  /// its text and logprobs to the event; sets `finish` when the answer ends with it. Returns the
  /// token. Errors: kInternal when no token can be drawn.
  Result<TokenId> Step(const LogitRow& logits, Event& event);
  /// Whether the best logits of a row will mostly do.
  bool TopMayDo() const { return top_logprobs_ < 0 && sampler_.TopMayDo(); }

  /// Ends the answer from outside: what was held back of the text comes out.
  void End(FinishReason reason, Event& event);

  /// Prompt and answer.
  std::span<const TokenId> history() const { return history_; }
  /// Tokens drawn, one that ended the text among them.
  int64_t generated() const { return generated_; }

 private:
  Result<TokenId> Draw(const LogitRow& logits);
  std::optional<FinishReason> Accept(TokenId id, Event& event);

  const Tokenizer& tokenizer_;
  const int64_t max_tokens_, min_tokens_;
  const bool ignore_eos_;
  const int top_logprobs_;
  std::unique_ptr<Constraint> constraint_;
  Sampler sampler_;
  Detokenizer detokenizer_;
  StopMatcher stops_;
  std::vector<TokenId> ends_;  // tokens that end a text, where min_tokens bans them
  std::vector<TokenId> history_;
  size_t prompt_;  // tokens of history_
  int64_t generated_ = 0;
};

}  // namespace tern
