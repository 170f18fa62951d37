#include "engine/generator.h"

#include <algorithm>
#include <chrono>

#include "tokenizer/detokenizer.h"
#include "tokenizer/stop_matcher.h"

namespace tern {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double Rate(int64_t tokens, double seconds) {
  return tokens > 0 && seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

bool IsSet(const std::atomic<bool>* flag) {
  return flag != nullptr && flag->load(std::memory_order_relaxed);
}

// Text on its way to the caller: tokens to characters, characters past the stop strings.
class TextOutput {
 public:
  TextOutput(const Tokenizer& tokenizer, TokenId previous, const GenerationOptions& options,
             const TextCallback& on_text)
      : detokenizer_(tokenizer, previous, options.special),
        stops_(options.stop),
        on_text_(on_text) {}

  /// False when generation has to end: stop string found, or the caller has had enough.
  bool Feed(TokenId id) { return Emit(stops_.Feed(detokenizer_.Feed(id))); }

  void Finish() {
    if (stopped() || cancelled_) return;
    if (Emit(stops_.Feed(detokenizer_.Finish()))) Emit(stops_.Finish());
  }

  bool stopped() const { return stops_.match().has_value(); }
  bool cancelled() const { return cancelled_; }
  std::string TakeText() { return std::move(text_); }

 private:
  bool Emit(const std::string& text) {
    text_ += text;
    if (!text.empty() && on_text_ && !on_text_(text)) cancelled_ = true;
    return !stopped() && !cancelled_;
  }

  Detokenizer detokenizer_;
  StopMatcher stops_;
  const TextCallback& on_text_;
  std::string text_;
  bool cancelled_ = false;
};

}  // namespace

std::string_view FinishReasonName(FinishReason reason) {
  switch (reason) {
    case FinishReason::kEndOfText:
      return "end of text";
    case FinishReason::kStopString:
      return "stop string";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kContext:
      return "context full";
    case FinishReason::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

double GenerationStats::PrefillRate() const {
  return Rate(prompt_tokens - cached_tokens, prefill_seconds);
}

// The first token comes with the prompt's pass.
double GenerationStats::DecodeRate() const { return Rate(generated_tokens - 1, decode_seconds); }

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

Result<std::span<const float>> Generator::Extend(std::span<const TokenId> ids,
                                                 const std::atomic<bool>* cancel) {
  FloatView logits;
  const auto chunk = static_cast<size_t>(executor_.max_rows());
  for (size_t done = 0; done < ids.size(); done += chunk) {
    if (IsSet(cancel)) return Fail(Code::kCancelled, "cancelled");
    const auto part = ids.subspan(done, std::min(chunk, ids.size() - done));
    const SequenceRows rows(part, std::ssize(sequence_), table_);
    const bool is_last = done + part.size() == ids.size();
    TERN_ASSIGN_OR_RETURN(
        logits, executor_.Forward(is_last ? rows.WantingLast() : rows.Wanting({}), cache_));
    sequence_.insert(sequence_.end(), part.begin(), part.end());
  }
  // Rows of the embedding beyond the vocabulary are padding and never sampled.
  return std::span<const float>(
      logits.data,
      static_cast<size_t>(std::min<int64_t>(logits.cols, std::ssize(tokenizer_.spec().tokens))));
}

Result<GenerationResult> Generator::Generate(std::span<const TokenId> prompt,
                                             const GenerationOptions& options,
                                             const TextCallback& on_text,
                                             const std::atomic<bool>* cancel) {
  TERN_TRY(CheckPrompt(prompt));
  TERN_TRY(CheckSampling(options.sampling));

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

  Sampler sampler(options.sampling);
  TextOutput output(tokenizer_, prompt.back(), options, on_text);
  std::vector<TokenId> history(prompt.begin(), prompt.end());
  const auto decode_start = Clock::now();
  for (;;) {
    if (!logits) {
      if (logits.error().code != Code::kCancelled) return tl::unexpected(logits.error());
      result.finish = FinishReason::kCancelled;
      break;
    }
    TERN_ASSIGN_OR_RETURN(const TokenId id, sampler.Sample(*logits, history));
    ++result.stats.generated_tokens;
    if (tokenizer_.IsEndOfGeneration(id) && !options.ignore_eos) {
      result.finish = FinishReason::kEndOfText;
      break;
    }
    result.ids.push_back(id);
    history.push_back(id);
    if (!output.Feed(id)) {
      result.finish = output.stopped() ? FinishReason::kStopString : FinishReason::kCancelled;
      break;
    }
    if (std::ssize(result.ids) >= options.max_tokens) {
      result.finish = FinishReason::kLength;
      break;
    }
    if (std::ssize(sequence_) >= context_) {
      result.finish = FinishReason::kContext;
      break;
    }
    logits = Extend({&id, 1}, cancel);
  }
  result.stats.decode_seconds = SecondsSince(decode_start);
  output.Finish();
  result.text = output.TakeText();
  return result;
}

}  // namespace tern
