// The C API over the C++ one: memory, codes and texts; nothing is decided here.
#include <tern/tern.h>
#include <tern/tern_c.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string>

#include "api/c_options.h"

struct tern_model {
  tern::v1::Model model;
};

struct tern_stream {
  tern::v1::TextStream stream;
  std::string text;  // what tern_stream_next returned last
};

namespace tern {
namespace {

static_assert(TERN_INTERNAL == static_cast<int>(v1::ErrorCode::kInternal) + 1);
static_assert(TERN_FINISH_DEADLINE == static_cast<int>(v1::FinishReason::kDeadline));
static_assert(TERN_KV_INT8 == static_cast<int>(v1::KvType::kInt8));
static_assert(TERN_GOAL_MEMORY == static_cast<int>(v1::LoadOptions::Goal::kMemory));

tern_code CodeOf(v1::ErrorCode code) { return static_cast<tern_code>(static_cast<int>(code) + 1); }

// malloc, because tern_free is free.
template <class T>
T* Allocate(size_t count) {
  void* memory = std::calloc(std::max(count, size_t{1}), sizeof(T));
  if (memory == nullptr) throw std::bad_alloc();
  return static_cast<T*>(memory);
}

char* CopyText(std::string_view text) {
  char* copy = Allocate<char>(text.size() + 1);
  std::memcpy(copy, text.data(), text.size());
  return copy;
}

template <class T>
T* CopyOf(const std::vector<T>& values) {
  T* copy = Allocate<T>(values.size());
  std::copy(values.begin(), values.end(), copy);
  return copy;
}

tern_code Report(const v1::Error& error, char** out) {
  if (out != nullptr) *out = CopyText(error.message);
  return CodeOf(error.code);
}

tern_code Missing(const char* what, char** out) {
  return Report({v1::ErrorCode::kInvalidArgument, std::string(what) + ": found NULL"}, out);
}

// Runs a function that reports through `error`; nothing is thrown any further.
template <class Function>
tern_code Guarded(char** error, Function function) noexcept {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    return TERN_RESOURCE_EXHAUSTED;  // and no memory for a message
  } catch (const std::exception& e) {
    if (error != nullptr) *error = strdup(e.what());
    return TERN_INTERNAL;
  }
}

void FreeContent(tern_completion& completion) {
  std::free(completion.error);
  std::free(completion.text);
  std::free(completion.ids);
}

void Fill(const v1::Result<v1::Completion>& result, tern_completion& out) {
  if (!result) {
    out.code = Report(result.error(), &out.error);
    return;
  }
  out.text = CopyText(result->text);
  out.text_size = result->text.size();
  out.ids = CopyOf(result->ids);
  out.id_count = result->ids.size();
  out.finish = static_cast<tern_finish>(result->finish);
  out.prompt_tokens = result->usage.prompt_tokens;
  out.cached_tokens = result->usage.cached_tokens;
  out.generated_tokens = result->usage.generated_tokens;
  out.prefill_seconds = result->usage.prefill_seconds;
  out.decode_seconds = result->usage.decode_seconds;
}

tern_code Deliver(const v1::Result<v1::Completion>& result, tern_completion** completion,
                  char** error) {
  if (!result) return Report(result.error(), error);
  auto* out = Allocate<tern_completion>(1);
  *completion = out;  // the caller's to free, whatever happens next
  Fill(result, *out);
  return TERN_OK;
}

v1::Result<v1::Prompt> PromptOf(const char* text) {
  if (text == nullptr)
    return v1::Error{v1::ErrorCode::kInvalidArgument, "prompt: found NULL, expected a text"};
  return v1::Prompt(text);
}

v1::Result<v1::Prompt> PromptOf(const tern_message* messages, size_t count) {
  std::vector<v1::Message> list;
  for (size_t i = 0; i < count; ++i) {
    if (messages == nullptr || messages[i].role == nullptr || messages[i].content == nullptr)
      return v1::Error{v1::ErrorCode::kInvalidArgument,
                       "messages[" + std::to_string(i) + "]: found NULL, expected texts"};
    list.push_back({messages[i].role, messages[i].content});
  }
  return v1::Prompt(std::move(list));
}

tern_code Generate(const tern_model* model, const v1::Result<v1::Prompt>& prompt,
                   const tern_generate_options* given, tern_text_callback on_text, void* user,
                   tern_completion** completion, char** error) {
  if (model == nullptr || completion == nullptr) return Missing("model or completion", error);
  if (!prompt) return Report(prompt.error(), error);
  const auto options = FromC(given);
  if (!options) return Report(options.error(), error);
  v1::TextCallback callback;
  if (on_text != nullptr)
    callback = [on_text, user](const v1::Chunk& chunk) {
      return chunk.text.empty() || on_text(chunk.text.c_str(), chunk.text.size(), user) == 0;
    };
  return Deliver(model->model.Generate(*prompt, *options, callback), completion, error);
}

tern_code GenerateN(const tern_model* model, const v1::Result<v1::Prompt>& prompt, int n,
                    const tern_generate_options* given, tern_completion** completions,
                    char** error) {
  if (model == nullptr || completions == nullptr) return Missing("model or completions", error);
  if (!prompt) return Report(prompt.error(), error);
  const auto options = FromC(given);
  if (!options) return Report(options.error(), error);
  const auto answers = model->model.GenerateN(*prompt, n, *options);
  if (!answers) return Report(answers.error(), error);
  auto* out = Allocate<tern_completion>(answers->size());
  *completions = out;  // the caller's to free, whatever happens next
  for (const v1::Completion& answer : *answers) Fill(answer, *out++);
  return TERN_OK;
}

tern_code OpenStream(const tern_model* model, const v1::Result<v1::Prompt>& prompt,
                     const tern_generate_options* given, tern_stream** stream, char** error) {
  if (model == nullptr || stream == nullptr) return Missing("model or stream", error);
  if (!prompt) return Report(prompt.error(), error);
  const auto options = FromC(given);
  if (!options) return Report(options.error(), error);
  auto opened = model->model.Stream(*prompt, *options);
  if (!opened) return Report(opened.error(), error);
  *stream = new tern_stream{std::move(*opened), {}};
  return TERN_OK;
}

}  // namespace
}  // namespace tern

using tern::Guarded;
using tern::Missing;
using tern::Report;
namespace v1 = tern::v1;

const char* tern_version(void) { return v1::Version().data(); }

const char* tern_code_name(tern_code code) {
  if (code == TERN_OK) return "ok";
  if (code < TERN_OK || code > TERN_INTERNAL) return "unknown";
  return v1::ErrorCodeName(static_cast<v1::ErrorCode>(code - 1)).data();
}

const char* tern_finish_name(tern_finish finish) {
  if (finish < TERN_FINISH_END_OF_TEXT || finish > TERN_FINISH_DEADLINE) return "unknown";
  return v1::FinishReasonName(static_cast<v1::FinishReason>(finish)).data();
}

tern_code tern_load(const char* path, const tern_load_options* options, tern_model** model,
                    char** error) {
  return Guarded(error, [&] {
    if (path == nullptr || model == nullptr) return Missing("path or model", error);
    const auto load = tern::FromC(options);
    if (!load) return Report(load.error(), error);
    auto loaded = v1::Model::Load(path, *load);
    if (!loaded) return Report(loaded.error(), error);
    *model = new tern_model{std::move(*loaded)};
    return TERN_OK;
  });
}

void tern_model_free(tern_model* model) { delete model; }
int64_t tern_context(const tern_model* model) { return model->model.info().context; }
int64_t tern_dim(const tern_model* model) { return model->model.info().dim; }
int64_t tern_vocabulary(const tern_model* model) { return model->model.info().vocabulary; }

tern_code tern_generate(const tern_model* model, const char* prompt,
                        const tern_generate_options* options, tern_text_callback on_text,
                        void* user, tern_completion** completion, char** error) {
  return Guarded(error, [&] {
    return tern::Generate(model, tern::PromptOf(prompt), options, on_text, user, completion, error);
  });
}

tern_code tern_chat(const tern_model* model, const tern_message* messages, size_t count,
                    const tern_generate_options* options, tern_text_callback on_text, void* user,
                    tern_completion** completion, char** error) {
  return Guarded(error, [&] {
    return tern::Generate(model, tern::PromptOf(messages, count), options, on_text, user,
                          completion, error);
  });
}

tern_code tern_generate_n(const tern_model* model, const char* prompt, int n,
                          const tern_generate_options* options, tern_completion** completions,
                          char** error) {
  return Guarded(error, [&] {
    return tern::GenerateN(model, tern::PromptOf(prompt), n, options, completions, error);
  });
}

tern_code tern_chat_n(const tern_model* model, const tern_message* messages, size_t count, int n,
                      const tern_generate_options* options, tern_completion** completions,
                      char** error) {
  return Guarded(error, [&] {
    return tern::GenerateN(model, tern::PromptOf(messages, count), n, options, completions, error);
  });
}

void tern_completion_free(tern_completion* completion) { tern_completions_free(completion, 1); }

tern_code tern_stream_open(const tern_model* model, const char* prompt,
                           const tern_generate_options* options, tern_stream** stream,
                           char** error) {
  return Guarded(error, [&] {
    return tern::OpenStream(model, tern::PromptOf(prompt), options, stream, error);
  });
}

tern_code tern_stream_open_chat(const tern_model* model, const tern_message* messages, size_t count,
                                const tern_generate_options* options, tern_stream** stream,
                                char** error) {
  return Guarded(error, [&] {
    return tern::OpenStream(model, tern::PromptOf(messages, count), options, stream, error);
  });
}

const char* tern_stream_next(tern_stream* stream, size_t* size) {
  const char* text = nullptr;
  Guarded(nullptr, [&] {
    while (auto chunk = stream->stream.Next()) {
      if (chunk->text.empty()) continue;
      stream->text = std::move(chunk->text);
      if (size != nullptr) *size = stream->text.size();
      text = stream->text.c_str();
      break;
    }
    return TERN_OK;
  });
  return text;
}

tern_code tern_stream_finish(tern_stream* stream, tern_completion** completion, char** error) {
  return Guarded(error, [&] {
    if (completion == nullptr) return Missing("completion", error);
    return tern::Deliver(stream->stream.Finish(), completion, error);
  });
}

void tern_stream_cancel(tern_stream* stream) { stream->stream.Cancel(); }
void tern_stream_free(tern_stream* stream) { delete stream; }

tern_code tern_batch(const tern_model* model, const char* const* prompts, size_t count,
                     const tern_generate_options* options, tern_completion** completions,
                     char** error) {
  return Guarded(error, [&] {
    if (model == nullptr || completions == nullptr) return Missing("model or completions", error);
    const auto shared = tern::FromC(options);
    if (!shared) return Report(shared.error(), error);
    std::vector<v1::Request> requests;
    for (size_t i = 0; i < count; ++i) {
      auto prompt = tern::PromptOf(prompts[i]);
      if (!prompt) return Report(prompt.error(), error);
      requests.push_back({std::move(*prompt), *shared});
      requests.back().options.seed += i;
    }
    const auto results = model->model.Batch(requests);
    auto* out = tern::Allocate<tern_completion>(count);
    *completions = out;  // the caller's to free, whatever happens next
    for (size_t i = 0; i < count; ++i) tern::Fill(results[i], out[i]);
    return TERN_OK;
  });
}

void tern_completions_free(tern_completion* completions, size_t count) {
  if (completions == nullptr) return;
  for (size_t i = 0; i < count; ++i) tern::FreeContent(completions[i]);
  std::free(completions);
}

tern_code tern_embed(const tern_model* model, const char* const* texts, size_t count, float* out,
                     char** error) {
  return Guarded(error, [&] {
    if (model == nullptr || out == nullptr) return Missing("model or out", error);
    const std::vector<std::string> list(texts, texts + count);
    const auto embedded = model->model.Embed(list);
    if (!embedded) return Report(embedded.error(), error);
    for (const std::vector<float>& row : *embedded) out = std::copy(row.begin(), row.end(), out);
    return TERN_OK;
  });
}

tern_code tern_tokenize(const tern_model* model, const char* text, int add_bos, int parse_special,
                        int32_t** ids, size_t* count, char** error) {
  return Guarded(error, [&] {
    if (model == nullptr || text == nullptr || ids == nullptr || count == nullptr)
      return Missing("model, text, ids or count", error);
    const auto tokens =
        model->model.Tokenize(text, {.add_bos = add_bos != 0, .parse_special = parse_special != 0});
    *ids = tern::CopyOf(tokens);
    *count = tokens.size();
    return TERN_OK;
  });
}

tern_code tern_detokenize(const tern_model* model, const int32_t* ids, size_t count, int special,
                          char** text, size_t* size, char** error) {
  return Guarded(error, [&] {
    if (model == nullptr || ids == nullptr || text == nullptr)
      return Missing("model, ids or text", error);
    const std::string decoded = model->model.Detokenize({ids, count}, special != 0);
    *text = tern::CopyText(decoded);
    if (size != nullptr) *size = decoded.size();
    return TERN_OK;
  });
}

void tern_free(void* memory) { std::free(memory); }

void tern_get_stats(const tern_model* model, tern_stats* stats) {
  const v1::Stats now = model->model.stats();
  const tern_stats all = {.size = stats->size,
                          .running = now.running,
                          .waiting = now.waiting,
                          .kv_blocks = now.kv_blocks,
                          .kv_blocks_used = now.kv_blocks_used,
                          .kv_blocks_cached = now.kv_blocks_cached,
                          .requests = now.requests,
                          .finished = now.finished,
                          .cancelled = now.cancelled,
                          .refused = now.refused,
                          .failed = now.failed,
                          .preempted = now.preempted,
                          .prompt_tokens = now.prompt_tokens,
                          .cached_tokens = now.cached_tokens,
                          .generated_tokens = now.generated_tokens,
                          .drafted_tokens = now.drafted_tokens,
                          .accepted_tokens = now.accepted_tokens,
                          .steps = now.steps};
  std::memcpy(stats, &all, std::min(stats->size, sizeof all));
}

void tern_cancel_all(const tern_model* model) { model->model.CancelAll(); }
