#include "server/model_service.h"

#include <fmt/format.h>

#include <random>

#include "server/chat_prompt.h"
#include "server/generation_reply.h"
#include "server/held_text.h"

namespace tern {
namespace {

int64_t UnixTime() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

uint64_t RandomBits() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

const char* IdPrefix(Endpoint endpoint) {
  switch (endpoint) {
    case Endpoint::kChat:
      return "chatcmpl-";
    case Endpoint::kResponses:
      return "resp_";
    case Endpoint::kCompletion:
    case Endpoint::kNative:
      break;
  }
  return "cmpl-";
}

}  // namespace

ModelService::ModelService(Engine& engine, ModelServiceOptions options)
    : engine_(engine),
      options_(std::move(options)),
      created_(UnixTime()),
      template_(ChatTemplate::OfModel(engine.tokenizer(), engine.model().config.architecture)),
      id_prefix_(fmt::format("{:016x}", RandomBits())) {}

std::unique_ptr<HttpReply> ModelService::Complete(Endpoint endpoint, std::string_view body) {
  auto reply = Generate(endpoint, body);
  return reply ? *std::move(reply) : ErrorReply(reply.error());
}

AnswerHead ModelService::NewHead(Endpoint endpoint) {
  return {fmt::format("{}{}{:08x}", IdPrefix(endpoint), id_prefix_, next_id_++), UnixTime(),
          options_.model};
}

ApiResult<std::unique_ptr<HttpReply>> ModelService::Generate(Endpoint endpoint,
                                                             std::string_view body) {
  auto parsed = ParseRequest(endpoint, body);
  if (!parsed) return tl::unexpected(std::move(parsed.error()));
  ApiRequest& request = *parsed;
  auto prompts = Prompts(request);
  if (!prompts) return tl::unexpected(std::move(prompts.error()));
  request.generation.sampling.seed = request.seed ? *request.seed : RandomBits();

  auto grammar = GrammarOf(request);
  if (!grammar) return tl::unexpected(std::move(grammar.error()));
  request.generation.grammar = *std::move(grammar);

  AnswerContext context{.head = NewHead(endpoint), .context = engine_.context()};
  std::vector<RequestHandle> handles;
  for (std::vector<TokenId>& prompt : *prompts) {
    if (request.echo || endpoint == Endpoint::kNative)
      context.prompts.push_back(engine_.tokenizer().Decode(prompt));
    Request submitted;
    submitted.prompt = std::move(prompt);
    submitted.options = request.generation;
    submitted.n = request.n;
    submitted.bulk = !request.stream;
    submitted.deadline = std::chrono::steady_clock::now() + options_.time_limit;
    submitted.cache_prompt = request.cache_prompt;
    auto handle = engine_.Submit(std::move(submitted));
    if (!handle) return tl::unexpected(ToApiError(handle.error(), PromptField(endpoint)));
    handles.push_back(*std::move(handle));
  }
  request.messages.clear();  // long, and not needed for the answer
  return NewGenerationReply(std::make_unique<const ApiRequest>(std::move(request)),
                            std::move(context), engine_.tokenizer(), std::move(handles));
}

ApiStatus ModelService::CheckIds(std::span<const TokenId> ids, const std::string& field) const {
  const int64_t vocab = engine_.model().config.vocab;
  for (const TokenId id : ids)
    if (id >= vocab)
      return Refuse(field, fmt::format("found the token id {}, expected less than {}", id, vocab));
  return {};
}

ApiStatus ModelService::CheckLength(size_t tokens, const char* field) const {
  if (tokens == 0) return Refuse(field, "found no token, expected at least one");
  const int64_t capacity = engine_.context();
  if (static_cast<int64_t>(tokens) < capacity) return {};
  return tl::unexpected<ApiError>(
      ApiError{400,
               fmt::format("{}: found {} tokens, expected fewer than the context of {}", field,
                           tokens, capacity),
               field, "context_length_exceeded"});
}

ApiResult<std::vector<std::vector<TokenId>>> ModelService::Prompts(
    const ApiRequest& request) const {
  const Tokenizer& tokenizer = engine_.tokenizer();
  std::vector<std::vector<TokenId>> prompts;
  if (!request.prompts.empty()) {
    for (const Prompt& prompt : request.prompts) {
      if (const auto* text = std::get_if<std::string>(&prompt)) {
        prompts.push_back(tokenizer.Encode(*text, {.add_bos = tokenizer.spec().add_bos}));
      } else {
        prompts.push_back(std::get<std::vector<TokenId>>(prompt));
        TERN_TRY_API(CheckIds(prompts.back(), "prompt"));
      }
    }
  } else {
    auto segments = RenderPrompt(request, template_);
    if (!segments) return tl::unexpected(std::move(segments.error()));
    prompts.push_back(EncodeChat(tokenizer, *segments));
  }
  for (const auto& prompt : prompts)
    TERN_TRY_API(CheckLength(prompt.size(), PromptField(request.endpoint)));
  for (const auto& [id, bias] : request.generation.logit_bias)
    TERN_TRY_API(CheckIds({&id, 1}, "logit_bias"));
  return prompts;
}

}  // namespace tern
