#include "api/live_model.h"

#include <algorithm>

#include "api/convert.h"
#include "api/gather.h"
#include "registry/registry.h"

namespace tern {
namespace {

/// A batch sees to it that there is always a next one: as many wait as run.
constexpr size_t kWaitingPerSequence = 2;

}  // namespace

Result<std::shared_ptr<LiveModel>> LiveModel::Load(const std::string& path,
                                                   const v1::LoadOptions& options) {
  TERN_ASSIGN_OR_RETURN(const EngineOptions engine_options, ToEngineOptions(path, options));
  TERN_ASSIGN_OR_RETURN(auto backend,
                        CreateBackend(options.backend, {.threads = options.threads,
                                                        .level = engine_options.session.level}));
  TERN_ASSIGN_OR_RETURN(auto engine, Engine::Create(std::move(backend), engine_options));
  const auto window = static_cast<size_t>(options.max_sequences) * kWaitingPerSequence;
  return std::shared_ptr<LiveModel>(new LiveModel(std::move(engine), window));
}

LiveModel::LiveModel(std::unique_ptr<Engine> engine, size_t window)
    : engine_(std::move(engine)),
      window_(window),
      family_(DetectChatFamily(engine_->tokenizer(), engine_->model().config.architecture)) {
  const ModelConfig& config = engine_->model().config;
  info_ = {.path = engine_->source().path(),
           .name = config.name,
           .architecture = config.architecture,
           .vocabulary = config.vocab,
           .dim = config.dim,
           .layers = config.layers,
           .context = engine_->context()};
}

LiveModel::~LiveModel() { CancelAll(); }

Result<std::vector<TokenId>> LiveModel::Encode(const v1::Prompt& prompt) const {
  const Tokenizer& tokenizer = engine_->tokenizer();
  if (const auto* ids = std::get_if<std::vector<TokenId>>(&prompt)) return *ids;
  if (const auto* text = std::get_if<std::string>(&prompt))
    return tokenizer.Encode(*text, {.add_bos = tokenizer.spec().add_bos});
  std::vector<ChatMessage> messages;
  for (const v1::Message& message : std::get<std::vector<v1::Message>>(prompt))
    messages.push_back({message.role, message.content});
  TERN_ASSIGN_OR_RETURN(const auto rendered, RenderChat(family_, tokenizer, messages, {}));
  return EncodeChat(tokenizer, rendered);
}

Result<std::unique_ptr<Ticket>> LiveModel::Submit(const v1::Prompt& prompt,
                                                  const v1::GenerateOptions& options, bool whole,
                                                  int n) {
  Request request;
  TERN_ASSIGN_OR_RETURN(request.prompt, Encode(prompt));
  TERN_ASSIGN_OR_RETURN(request.options, ToGenerationOptions(options));
  request.priority = options.priority;
  request.bulk = whole;
  request.n = n;
  if (options.timeout) request.deadline = std::chrono::steady_clock::now() + *options.timeout;
  std::stop_token all;
  {
    const std::lock_guard lock(mutex_);
    all = cancel_all_.get_token();
  }
  TERN_ASSIGN_OR_RETURN(RequestHandle handle, engine_->Submit(std::move(request)));
  return std::make_unique<Ticket>(std::move(handle), options.cancel, all);
}

v1::Result<v1::Completion> LiveModel::Generate(const v1::Prompt& prompt,
                                               const v1::GenerateOptions& options,
                                               const v1::TextCallback& on_text) {
  const auto submitted = Submit(prompt, options, on_text == nullptr);
  if (!submitted) return ToPublic(submitted.error());
  Ticket& ticket = **submitted;
  Collector collector;
  bool wanted = on_text != nullptr;
  while (auto event = ticket.handle().Next()) {
    const v1::Chunk chunk = collector.Add(std::move(*event));
    const bool empty = chunk.ids.empty() && chunk.text.empty();
    if (!wanted || empty || on_text(chunk)) continue;
    wanted = false;
    ticket.handle().Cancel();
  }
  return collector.Answer();
}

v1::Result<std::vector<v1::Completion>> LiveModel::GenerateN(const v1::Prompt& prompt, int n,
                                                             const v1::GenerateOptions& options) {
  const auto ticket = Submit(prompt, options, true, n);
  if (!ticket) return ToPublic(ticket.error());
  std::vector<Collector> collectors(static_cast<size_t>(n));
  while (auto event = (*ticket)->handle().Next()) {
    const auto index = static_cast<size_t>(event->index);
    collectors[index].Add(std::move(*event));
  }
  std::vector<v1::Completion> answers;
  for (const Collector& collector : collectors) {
    auto answer = collector.Answer();
    if (!answer) return answer.error();
    answers.push_back(std::move(*answer));
  }
  return answers;
}

std::vector<v1::Result<v1::Completion>> LiveModel::Batch(std::span<const v1::Request> requests,
                                                         const v1::BatchCallback& on_done) {
  std::vector<std::optional<v1::Result<v1::Completion>>> results(requests.size());
  const auto done = [&](size_t index, v1::Result<v1::Completion> result) {
    results[index] = std::move(result);
    if (on_done) on_done(index, *results[index]);
  };
  Gather gather;
  size_t next = 0;
  const auto end_one = [&] {
    if (auto ended = gather.Next()) done(ended->key, std::move(ended->result));
  };
  while (next < requests.size() || gather.size() > 0) {
    if (next == requests.size() || gather.size() >= window_) {
      end_one();
      continue;
    }
    auto ticket = Submit(requests[next].prompt, requests[next].options, true);
    if (ticket) {
      gather.Add(next++, std::move(*ticket));
    } else if (ticket.error().code == Code::kResourceExhausted && gather.size() > 0) {
      end_one();  // others fill the queue: one of ours makes room
    } else {
      done(next++, ToPublic(ticket.error()));
    }
  }
  std::vector<v1::Result<v1::Completion>> all;
  all.reserve(results.size());
  for (auto& result : results) all.push_back(std::move(*result));
  return all;
}

Result<std::vector<std::vector<float>>> LiveModel::Embed(std::span<const std::string> texts) {
  std::vector<std::vector<TokenId>> inputs;
  for (const std::string& text : texts) {
    TERN_ASSIGN_OR_RETURN(inputs.emplace_back(), Encode(text));
  }
  return engine_->Embed(std::move(inputs));
}

void LiveModel::CancelAll() {
  std::stop_source old;
  {
    const std::lock_guard lock(mutex_);
    std::swap(old, cancel_all_);
  }
  old.request_stop();
}

}  // namespace tern
