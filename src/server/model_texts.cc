// The endpoints of the model that generate nothing: embeddings, tokens, templates, descriptions.
#include <fmt/format.h>

#include <bit>
#include <filesystem>

#include "server/chat_prompt.h"
#include "server/generation_reply.h"
#include "server/model_service.h"
#include "server/settings_json.h"
#include "tokenizer/utf8.h"

namespace tern {
namespace {

constexpr size_t kMostInputs = 256;

std::unique_ptr<HttpReply> Reply(const ApiResult<Json>& result, std::string summary = {}) {
  if (!result) return ErrorReply(result.error());
  return ReadyReply({}, Dump(*result), std::move(summary));
}

// Base 64 of RFC 4648.
std::string Base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k)
      out += i + k > bytes.size() ? '=' : kAlphabet[group >> (18 - 6 * k) & 63];
  }
  return out;
}

// The vector as OpenAI's clients like it best: little-endian floats.
Json EmbeddingJson(const std::vector<float>& vector, bool base64) {
  if (!base64) return vector;
  static_assert(std::endian::native == std::endian::little);
  return Base64({reinterpret_cast<const char*>(vector.data()), vector.size() * sizeof(float)});
}

// A string, token ids, or a list of either.
ApiResult<std::vector<std::vector<TokenId>>> ReadInputs(const Json& body,
                                                        const Tokenizer& tokenizer) {
  const Json* input = Member(body, "input");
  if (input == nullptr) input = Member(body, "content");  // llama-server's name
  if (input == nullptr) return Refuse("input", "missing, expected a string");
  std::vector<std::vector<TokenId>> out;
  const auto add = [&](const Json& value, const std::string& field) -> ApiStatus {
    if (!value.is_string()) return ReadIds(value, field, out.emplace_back());
    out.push_back(tokenizer.Encode(value.get_ref<const std::string&>(),
                                   {.add_bos = tokenizer.spec().add_bos}));
    return {};
  };
  const bool one = !input->is_array() || input->empty() || input->front().is_number();
  if (one) {
    if (!input->is_string() && !input->is_array())
      return WrongType("input", *input, "a string, a list of strings or of token ids");
    TERN_TRY_API(add(*input, "input"));
    return out;
  }
  if (input->size() > kMostInputs)
    return Refuse("input",
                  fmt::format("found {} inputs, expected at most {}", input->size(), kMostInputs));
  for (size_t i = 0; i < input->size(); ++i)
    TERN_TRY_API(add((*input)[i], fmt::format("input[{}]", i)));
  return out;
}

}  // namespace

std::unique_ptr<HttpReply> ModelService::Embed(std::string_view text) {
  int64_t tokens = 0;
  const auto embed = [&]() -> ApiResult<Json> {
    const auto body = ParseBody(text);
    if (!body) return tl::unexpected(body.error());
    auto inputs = ReadInputs(*body, engine_.tokenizer());
    if (!inputs) return tl::unexpected(std::move(inputs.error()));
    for (const auto& input : *inputs) {
      TERN_TRY_API(CheckLength(input.size(), "input"));
      TERN_TRY_API(CheckIds(input, "input"));
      tokens += std::ssize(input);
    }
    std::string format = "float";
    TERN_TRY_API(ReadString({*body, "encoding_format"}, format));
    if (format != "float" && format != "base64")
      return Refuse("encoding_format", R"(expected "float" or "base64")");
    int64_t dimensions = engine_.model().config.dim;
    TERN_TRY_API(ReadInteger({*body, "dimensions"}, dimensions, dimensions, dimensions));
    const auto vectors = engine_.Embed(*std::move(inputs));
    if (!vectors) return tl::unexpected(ToApiError(vectors.error(), "input"));
    Json data = Json::array();
    for (const auto& vector : *vectors)
      data.push_back({{"object", "embedding"},
                      {"index", data.size()},
                      {"embedding", EmbeddingJson(vector, format == "base64")}});
    return Json{{"object", "list"},
                {"data", std::move(data)},
                {"model", options_.model},
                {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}}};
  };
  const ApiResult<Json> answer = embed();
  return Reply(answer, fmt::format("prompt {} tokens", tokens));
}

std::unique_ptr<HttpReply> ModelService::Tokenize(std::string_view text) {
  const auto tokenize = [&]() -> ApiResult<Json> {
    const auto body = ParseBody(text);
    if (!body) return tl::unexpected(body.error());
    const Tokenizer& tokenizer = engine_.tokenizer();
    std::string content;
    bool add_special = false, parse_special = true, with_pieces = false;
    if (Member(*body, "content") == nullptr) return Refuse("content", "missing, expected a string");
    TERN_TRY_API(ReadString({*body, "content"}, content));
    TERN_TRY_API(ReadBool({*body, "add_special"}, add_special));
    TERN_TRY_API(ReadBool({*body, "parse_special"}, parse_special));
    TERN_TRY_API(ReadBool({*body, "with_pieces"}, with_pieces));
    const auto ids = tokenizer.Encode(content, {.add_bos = add_special && tokenizer.spec().add_bos,
                                                .add_eos = add_special && tokenizer.spec().add_eos,
                                                .parse_special = parse_special});
    if (!with_pieces) return Json{{"tokens", ids}};
    Json tokens = Json::array();
    for (const TokenId id : ids) {
      const std::string piece = tokenizer.Piece(id, true);
      Json spelled = piece;
      if (ValidUtf8Prefix(piece) != piece.size())  // bytes of a character, as llama-server has it
        spelled = std::vector<uint8_t>(piece.begin(), piece.end());
      tokens.push_back({{"id", id}, {"piece", std::move(spelled)}});
    }
    return Json{{"tokens", std::move(tokens)}};
  };
  return Reply(tokenize());
}

std::unique_ptr<HttpReply> ModelService::Detokenize(std::string_view text) {
  const auto detokenize = [&]() -> ApiResult<Json> {
    const auto body = ParseBody(text);
    if (!body) return tl::unexpected(body.error());
    const Json* tokens = Member(*body, "tokens");
    if (tokens == nullptr) return Refuse("tokens", "missing, expected a list of token ids");
    std::vector<TokenId> ids;
    TERN_TRY_API(ReadIds(*tokens, "tokens", ids));
    TERN_TRY_API(CheckIds(ids, "tokens"));
    return Json{{"content", engine_.tokenizer().Decode(ids, true)}};
  };
  return Reply(detokenize());
}

std::unique_ptr<HttpReply> ModelService::ApplyTemplate(std::string_view text) {
  const auto apply = [&]() -> ApiResult<Json> {
    const auto request = ParseRequest(Endpoint::kChat, text);
    if (!request) return tl::unexpected(request.error());
    const auto segments = RenderPrompt(*request, template_);
    if (!segments) return tl::unexpected(segments.error());
    std::string prompt;
    for (const ChatSegment& segment : *segments) prompt += segment.text;
    return Json{{"prompt", std::move(prompt)}};
  };
  return Reply(apply());
}

std::string ModelService::Models() const {
  const ModelConfig& config = engine_.model().config;
  const Json entry = {{"id", options_.model},
                      {"object", "model"},
                      {"created", created_},
                      {"owned_by", "tern"},
                      {"meta",
                       {{"n_vocab", config.vocab},
                        {"n_ctx", engine_.context()},
                        {"n_ctx_train", config.context},
                        {"n_embd", config.dim}}}};
  return Dump({{"object", "list"}, {"data", Json::array({entry})}});
}

std::string ModelService::Props() const {
  ApiRequest defaults;
  defaults.endpoint = Endpoint::kNative;
  (void)ReadGeneration(Json::object(), defaults);  // an object without fields is legal
  Json params = SettingsJson(defaults);
  params["seed"] = -1;  // another one each time
  const TokenizerSpec& spec = engine_.tokenizer().spec();
  const auto spelling = [&](std::optional<TokenId> id) {
    return id ? engine_.tokenizer().Piece(*id, true) : std::string();
  };
  // The file's name alone: where it lies is nobody's business.
  const std::string file = std::filesystem::path(engine_.source().path()).filename().string();
  return Dump({{"default_generation_settings",
                {{"id", 0},
                 {"n_ctx", engine_.context()},
                 {"is_processing", false},
                 {"params", std::move(params)}}},
               {"total_slots", options_.slots},
               {"model_alias", options_.model},
               {"model_path", file},
               {"modalities", {{"vision", false}, {"audio", false}}},
               {"endpoint_slots", true},
               {"endpoint_props", false},  // nothing can be changed
               {"endpoint_metrics", true},
               {"chat_template", spec.chat_template},
               {"chat_template_caps",
                {{"supports_tools", template_.takes_tools()},
                 {"supports_tool_calls", template_.takes_tools()}}},
               {"bos_token", spelling(spec.bos)},
               {"eos_token", spelling(spec.eos)},
               {"build_info", options_.build},
               {"is_sleeping", false}});
}

}  // namespace tern
