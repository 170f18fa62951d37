// tern for C++20: load a ternary language model, and let it write.
//
//   auto model = tern::Model::Load("model.gguf");
//   if (!model) { std::cerr << model.error().message << '\n'; return 1; }
//   auto answer = model->Generate("Once upon a time", {.max_tokens = 100});
//   if (answer) std::cout << answer->text << '\n';
//
// Everything is in namespace tern::v1, which `tern::` reaches too. Only types of the standard
// library cross this interface. Failures are values (Result); exceptions come only from the
// standard library, when memory is out.
//
// Threads: a Model may be used by any number of threads at once, and so may its copies, which are
// the same model. A TextStream has one reader. One thread of the model's own computes, with the
// workers of LoadOptions::threads; callbacks run on the thread that made the call and may take
// their time. What is written for a request does not depend on the others, on threads, or on the
// CPU.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#define TERN_API __attribute__((visibility("default")))

namespace tern::v1 {

using TokenId = int32_t;

enum class ErrorCode : uint8_t {
  kInvalidArgument,    // the request makes no sense, e.g. a prompt longer than the context
  kNotFound,           // a file, or something in it, that should be there
  kCorrupt,            // bytes that contradict their format
  kUnsupported,        // well-formed, but not something tern can do
  kResourceExhausted,  // memory, disk, a full queue
  kCancelled,
  kDevice,    // an accelerator failed
  kInternal,  // a fault of tern's own
};

/// "invalid argument", "not found", ...
TERN_API std::string_view ErrorCodeName(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  // names the file or field, what was found and what was expected
};

/// A value, or why there is none. Using what it doesn't hold ends the program.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  T& value() & noexcept { return std::get<0>(state_); }
  const T& value() const& noexcept { return std::get<0>(state_); }
  T&& value() && noexcept { return std::get<0>(std::move(state_)); }
  T& operator*() & noexcept { return value(); }
  const T& operator*() const& noexcept { return value(); }
  T&& operator*() && noexcept { return std::move(*this).value(); }
  T* operator->() noexcept { return &value(); }
  const T* operator->() const noexcept { return &value(); }
  template <class U>
  T value_or(U&& fallback) const& {
    return has_value() ? value() : static_cast<T>(std::forward<U>(fallback));
  }

  const Error& error() const noexcept { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

/// How much is done for speed; the text is the same at every level.
enum class OptimizationLevel : uint8_t {
  kNone,        // scalar kernels, one operation at a time
  kBasic,       // the CPU's best kernels
  kAggressive,  // and operations joined where they share data
};

/// Numbers in the cache of keys and values. kDefault: halves, or floats for models that were
/// trained with float activations.
enum class KvType : uint8_t { kDefault, kF16, kBf16, kF32, kInt8 };

/// The output head. kNative: as the file has it. kInt8: a scale per row, made while loading; less
/// to read per token, logits a little different.
enum class HeadType : uint8_t { kNative, kInt8 };

/// An operation takes longer than it usually does for the same work, for long enough to be
/// believed; or, not firing, no more.
struct PerformanceAlert {
  std::string operation;  // "decode", "prefill"
  bool firing = true;
  double ratio = 1;          // its time as a multiple of the usual one
  double low = 1, high = 1;  // about 95% confidence that the ratio is in between
  double tolerance = 0;      // LoadOptions::alert_tolerance
};

struct LoadOptions {
  /// The fastest answers, for the memory that they take: weights in huge pages.
  TERN_API static LoadOptions OptimizedForSpeed();
  /// The least memory: weights stay in the cache file (set cache_folder), which processes share;
  /// short passes; a context of at most 2048.
  TERN_API static LoadOptions OptimizedForMemory();

  enum class Goal : uint8_t { kBalanced, kSpeed, kMemory };
  Goal goal = Goal::kBalanced;  // what the two above set

  int threads = 0;      // 0: one per usable CPU
  int64_t context = 0;  // tokens that a sequence may have; 0: the model's, at most 4096
  KvType kv = KvType::kDefault;
  HeadType head = HeadType::kNative;
  OptimizationLevel level = OptimizationLevel::kAggressive;
  std::string backend = "auto";   // what computes
  std::string cache_folder = {};  // where packed weights of large models are kept; "": nowhere

  int64_t max_sequences = 8;  // answered at once; more requests wait
  int64_t max_queue = 1024;   // that may wait; beyond, requests fail with kResourceExhausted
  int64_t memory_budget = 0;  // bytes for weights, keys and values, and scratch; 0: no own bound
  bool prefix_cache = true;   // prompts that begin alike are computed once
  int draft_tokens = 0;       // guessed ahead from the text so far; 0: off. The text is the same
  /// How long a stream may go unread before it is cut off with kDeadline; 0: any time.
  std::chrono::milliseconds stall_limit{0};

  double alert_tolerance = 0.05;  // how much slower than usual is still well; 0.05: 5%
  std::chrono::milliseconds alert_after{60000};  // that a slowdown lasts before it is believed

  /// Called while loading, on the loading thread.
  std::function<void(int64_t done, int64_t total)> progress = {};
  /// Called when an alert begins or ends, on a thread of the model's own; freeing the model waits
  /// for it. What is usual is learnt while the model works (docs/monitoring.md).
  std::function<void(const PerformanceAlert& alert)> on_alert = {};
};

struct ModelInfo {
  std::string path;
  std::string name;          // the file's own; may be empty
  std::string architecture;  // e.g. "bitnet-b1.58"
  int64_t vocabulary = 0;    // rows of the embedding
  int64_t dim = 0;           // width of the residual stream, and of embeddings
  int64_t layers = 0;
  int64_t context = 0;  // tokens that a sequence may have here
};

struct Message {
  std::string role;  // "system", "user", "assistant", "tool"
  std::string content;
};

/// A text to continue, a conversation to answer in the model's chat format, or token ids as they
/// are. Special tokens spelled in texts are plain text.
using Prompt = std::variant<std::string, std::vector<Message>, std::vector<TokenId>>;

/// Names and defaults as in llama.cpp.
struct GenerateOptions {
  int64_t max_tokens = 128;
  int64_t min_tokens = 0;    // no end of text before
  float temperature = 0.8f;  // 0: always the likeliest token
  int top_k = 40;            // 0: off
  float top_p = 0.95f;       // 1: off
  float min_p = 0.05f;       // 0: off
  float repeat_penalty = 1.0f;
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  int repeat_last_n = 64;
  uint64_t seed = 0;                   // the same seed gives the same text
  std::vector<std::string> stop = {};  // text that ends the answer and is not part of it
  bool ignore_eos = false;
  bool special = false;   // spell control tokens in the text
  int top_logprobs = -1;  // -1: none; 0 to 20: that of each token and of as many others
  std::vector<std::pair<TokenId, float>> logit_bias = {};
  std::string grammar = {};      // GBNF: the text is of it; "": any text
  std::string json_schema = {};  // the text is a JSON document of it; not together with a grammar
  int priority = 0;              // higher goes first
  std::optional<std::chrono::milliseconds> timeout =
      {};                       // ends the answer, FinishReason::kDeadline
  std::stop_token cancel = {};  // ends the answer, FinishReason::kCancelled
};

enum class FinishReason : uint8_t {
  kEndOfText,   // the model said so
  kStopString,  // one of GenerateOptions::stop
  kLength,      // max_tokens
  kContext,     // the context is full
  kCancelled,
  kDeadline,
};

/// "end of text", "stop string", ...
TERN_API std::string_view FinishReasonName(FinishReason reason);

struct TokenLogprob {
  TokenId id = 0;
  float logprob = 0;
};

struct TokenLogprobs {
  TokenLogprob token;
  std::vector<TokenLogprob> top;  // likeliest first
};

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;  // of the prompt, known from an earlier request
  int64_t generated_tokens = 0;
  int64_t drafted_tokens = 0;   // guessed ahead
  int64_t accepted_tokens = 0;  // of them, right
  double queue_seconds = 0;     // until the prompt was begun
  double prefill_seconds = 0;   // for prompt_tokens - cached_tokens
  double decode_seconds = 0;
};

struct Completion {
  std::string text;
  std::vector<TokenId> ids;  // without the token that ended the text
  FinishReason finish = FinishReason::kLength;
  Usage usage;
  std::vector<TokenLogprobs> logprobs;  // when they were asked for
};

/// A piece of an answer: whole characters, nothing that may still belong to a stop string.
struct Chunk {
  std::string text;          // may be empty
  std::vector<TokenId> ids;  // may be ahead of the text
  std::vector<TokenLogprobs> logprobs;
};

/// Returning false cancels the request.
using TextCallback = std::function<bool(const Chunk& chunk)>;

/// An answer that is being written. The reader sets the pace: one that doesn't read is waited for
/// and holds up no other request. Destroying it cancels what is unfinished. Keeps the model alive.
/// Thread rule: one reader; Cancel from anywhere.
class TERN_API TextStream {
 public:
  TextStream(TextStream&&) noexcept;
  TextStream& operator=(TextStream&&) noexcept;
  ~TextStream();

  /// Waits for the next piece; nothing once the answer has ended.
  std::optional<Chunk> Next();
  /// The whole answer, or why it failed; waits for the end, reading what Next has not.
  Result<Completion> Finish();
  void Cancel();

  /// for (const tern::Chunk& chunk : stream) ...
  class Iterator {
   public:
    using value_type = Chunk;
    using difference_type = std::ptrdiff_t;

    explicit Iterator(TextStream* stream) : stream_(stream), chunk_(stream->Next()) {}
    const Chunk& operator*() const { return *chunk_; }
    const Chunk* operator->() const { return &*chunk_; }
    Iterator& operator++() {
      chunk_ = stream_->Next();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !chunk_; }

   private:
    TextStream* stream_;
    std::optional<Chunk> chunk_;
  };
  Iterator begin() { return Iterator(this); }
  std::default_sentinel_t end() const { return {}; }

 private:
  friend class Model;
  struct Impl;
  explicit TextStream(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct Request {
  Prompt prompt;
  GenerateOptions options = {};
};

/// Called once for each request of a batch, in the order in which they end.
using BatchCallback = std::function<void(size_t index, const Result<Completion>& result)>;

/// Seconds, since loading; percentiles are off by at most 0.4%. All 0 for no values.
struct TimeSummary {
  uint64_t count = 0;
  double p50 = 0, p90 = 0, p95 = 0, p99 = 0, p999 = 0;
  double max = 0;
};

/// A snapshot. Counts are since loading.
struct Stats {
  int64_t running = 0;  // sequences
  int64_t waiting = 0;
  int64_t kv_blocks = 0;  // of 32 positions
  int64_t kv_blocks_used = 0;
  int64_t kv_blocks_cached = 0;
  uint64_t requests = 0, finished = 0, cancelled = 0, refused = 0, failed = 0, preempted = 0;
  uint64_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
  uint64_t drafted_tokens = 0, accepted_tokens = 0;
  uint64_t steps = 0;               // forward passes
  TimeSummary first_token = {};     // from a request to its first token
  TimeSummary between_tokens = {};  // of one answer
  TimeSummary queue = {};           // until a request is begun
  TimeSummary pass = {};            // of a forward pass
};

struct TokenizeOptions {
  bool add_bos = false;        // the token that begins a text, in front
  bool parse_special = false;  // control tokens spelled in the text become their ids
};

/// A loaded model. Copies are the same model; the last one, or the last stream, to go cancels what
/// is unfinished and frees it. Don't let that be a callback.
class TERN_API Model {
 public:
  /// path: a GGUF file or a Hugging Face folder. Errors: everything a file can be wrong in, with
  /// its name; kInvalidArgument for options; kResourceExhausted when memory doesn't suffice.
  static Result<Model> Load(const std::string& path, const LoadOptions& options = {});

  const ModelInfo& info() const;

  /// Waits for the whole answer. Errors here and below: kInvalidArgument for a prompt without
  /// tokens, one longer than the context, an id outside the vocabulary, illegal options;
  /// kResourceExhausted for a full queue.
  Result<Completion> Generate(const Prompt& prompt, const GenerateOptions& options = {}) const;
  /// The same, with the pieces as they are written.
  Result<Completion> Generate(const Prompt& prompt, const GenerateOptions& options,
                              const TextCallback& on_text) const;
  /// n answers, 1 to 128, to a prompt that is computed once: answer i is that of seed + i. Waits
  /// for all; an error of one is the error of all.
  Result<std::vector<Completion>> GenerateN(const Prompt& prompt, int n,
                                            const GenerateOptions& options = {}) const;
  /// One answer in the background. The future needn't be waited for; cancel by options.cancel.
  std::future<Result<Completion>> GenerateAsync(const Prompt& prompt,
                                                const GenerateOptions& options = {}) const;
  /// The same, to be pulled.
  Result<TextStream> Stream(const Prompt& prompt, const GenerateOptions& options = {}) const;
  /// Many at once; waits for all. result[i] answers requests[i]. Any number: those beyond
  /// LoadOptions::max_sequences follow as others end.
  std::vector<Result<Completion>> Batch(std::span<const Request> requests,
                                        const BatchCallback& on_done = {}) const;

  /// One vector of info().dim numbers for each text: the mean of the hidden states after the last
  /// norm, of length 1.
  Result<std::vector<std::vector<float>>> Embed(std::span<const std::string> texts) const;

  std::vector<TokenId> Tokenize(std::string_view text, const TokenizeOptions& options = {}) const;
  /// The ids that a request with this prompt begins with. Errors: kInvalidArgument for a
  /// conversation without messages or with an unknown role.
  Result<std::vector<TokenId>> TokenizePrompt(const Prompt& prompt) const;
  std::string Detokenize(std::span<const TokenId> ids, bool special = false) const;

  Stats stats() const;
  /// Cancels every request there is; later ones are not affected.
  void CancelAll() const;

 private:
  friend class TextStream;
  struct Impl;
  explicit Model(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

/// "0.1.0"
TERN_API std::string_view Version();

}  // namespace tern::v1

// The library's own sources have other classes of these names in namespace tern.
#ifndef TERN_V1_ONLY
namespace tern {
using namespace v1;  // NOLINT: what users write
}
#endif
