#include "tokenizer/chat_template.h"

#include <algorithm>
#include <array>
#include <utility>

#include "tokenizer/quoted.h"

namespace tern {
namespace {

using nlohmann::ordered_json;

/// "content" as one string.
Result<std::string> Flattened(const ordered_json& content, const std::string& where) {
  if (content.is_null()) return "";
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array())
    return Fail(Code::kInvalidArgument, "{}: found {}, expected a string or an array of parts",
                where, content.type_name());
  std::string text;
  for (size_t i = 0; i < content.size(); ++i) {
    const ordered_json& part = content[i];
    const auto member = [&part](const char* name) -> const std::string* {
      const auto found = part.is_object() ? part.find(name) : part.end();
      return found == part.end() ? nullptr : found->get_ptr<const std::string*>();
    };
    const std::string* type = member("type");
    if (type != nullptr && *type != "text")
      return Fail(Code::kUnsupported, "{}[{}].type: found {}, expected text", where, i,
                  Quoted(*type));
    const std::string* words =
        part.is_string() ? part.get_ptr<const std::string*>() : member("text");
    if (words == nullptr)
      return Fail(Code::kInvalidArgument, "{}[{}].text: found none, expected a string", where, i);
    if (i > 0) text += '\n';
    text += *words;
  }
  return text;
}

/// Arguments of calls as objects: the API has them as JSON in a string, templates want members.
void OpenArguments(ordered_json& calls) {
  if (!calls.is_array()) return;
  for (ordered_json& call : calls) {
    if (!call.is_object()) continue;
    ordered_json& function = call.contains("function") ? call["function"] : call;
    if (!function.is_object() || !function.contains("arguments")) continue;
    ordered_json& arguments = function["arguments"];
    if (!arguments.is_string()) continue;
    ordered_json parsed =
        ordered_json::parse(arguments.get_ref<const std::string&>(), nullptr, false);
    if (parsed.is_object()) arguments = std::move(parsed);
  }
}

/// The messages in the one form that templates know.
Result<ordered_json> CheckedMessages(const ordered_json& messages, bool knows_developer) {
  if (!messages.is_array() || messages.empty())
    return Fail(Code::kInvalidArgument, "messages: found {}, expected an array with at least one",
                messages.is_array() ? "none" : messages.type_name());
  ordered_json out = messages;
  for (size_t i = 0; i < out.size(); ++i) {
    ordered_json& message = out[i];
    if (!message.is_object())
      return Fail(Code::kInvalidArgument, "messages[{}]: found {}, expected an object", i,
                  message.type_name());
    const auto role = message.find("role");
    if (role == message.end() || !role->is_string())
      return Fail(Code::kInvalidArgument, "messages[{}].role: found {}, expected a string", i,
                  role == message.end() ? "none" : role->type_name());
    if (*role == "developer" && !knows_developer) *role = "system";
    const ordered_json content = message.contains("content") ? message["content"] : ordered_json();
    TERN_ASSIGN_OR_RETURN(message["content"],
                          Flattened(content, fmt::format("messages[{}].content", i)));
    const auto calls = message.find("tool_calls");
    if (calls == message.end()) continue;
    if (calls->is_null() || (calls->is_array() && calls->empty())) {
      message.erase("tool_calls");  // some clients send it with every message
    } else {
      OpenArguments(*calls);
    }
  }
  return out;
}

/// Roles can't spell a token, so a template may build one from them ("<|" + role + "|>").
bool IsKnownRole(std::string_view role) {
  constexpr std::array<std::string_view, 6> kRoles = {"system",    "developer", "user",
                                                      "assistant", "tool",      "ipython"};
  return std::find(kRoles.begin(), kRoles.end(), role) != kRoles.end();
}

Result<jinja::Value> MessagesValue(const ordered_json& messages) {
  std::vector<jinja::Value> values;
  for (const ordered_json& message : messages) {
    jinja::Dict dict;
    for (const auto& [key, value] : message.items()) {
      const bool trusted = key == "role" && IsKnownRole(value.get_ref<const std::string&>());
      TERN_ASSIGN_OR_RETURN(
          jinja::Value converted,
          jinja::FromJson(value, trusted ? jinja::Origin::kTemplate : jinja::Origin::kData));
      dict.Set({key, jinja::Origin::kData}, std::move(converted));
    }
    TERN_ASSIGN_OR_RETURN(jinja::Value value, jinja::MakeDict(std::move(dict)));
    values.push_back(std::move(value));
  }
  return jinja::MakeList(std::move(values));
}

bool HasItems(const ordered_json& json) { return json.is_array() && !json.empty(); }

/// An error's message as part of one line.
std::string OneLine(const Error& error) {
  std::string text = error.message;
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return text;
}

}  // namespace

ChatTemplate::ChatTemplate(const Tokenizer& tokenizer, ChatFamily family)
    : tokenizer_(&tokenizer), family_(family) {
  const TokenizerSpec& spec = tokenizer.spec();
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    const std::string& token = spec.tokens[i];
    const TokenType type = i < spec.types.size() ? spec.types[i] : TokenType::kNormal;
    const auto id = static_cast<TokenId>(i);
    // Some files call their special tokens normal; in a template's own words the spelling will do.
    const bool special = type == TokenType::kControl || type == TokenType::kUserDefined ||
                         (token.starts_with("<|") && token.ends_with("|>")) || id == spec.bos ||
                         id == spec.eos || id == spec.eot;
    if (special) special_.Add(token, id);
  }
}

ChatTemplate ChatTemplate::OfFamily(const Tokenizer& tokenizer, ChatFamily family) {
  ChatTemplate out(tokenizer, family);
  out.why_built_in_ = "the format was chosen by name";
  return out;
}

Result<ChatTemplate> ChatTemplate::OfSource(const Tokenizer& tokenizer,
                                            std::string_view architecture,
                                            std::string_view source) {
  ChatTemplate out(tokenizer, DetectChatFamily(tokenizer, architecture));
  TERN_ASSIGN_OR_RETURN(out.template_, jinja::Template::Parse(source));
  out.may_fall_back_ = false;
  out.knows_developer_ = source.find("developer") != std::string_view::npos;
  return out;
}

ChatTemplate ChatTemplate::OfModel(const Tokenizer& tokenizer, std::string_view architecture) {
  const std::string& source = tokenizer.spec().chat_template;
  ChatTemplate built_in(tokenizer, DetectChatFamily(tokenizer, architecture));
  if (source.empty()) {
    built_in.why_built_in_ = "the file has no chat template";
  } else if (source.find("BITNETAssistant") != std::string::npos) {
    // Published 2B-4T files have it; the model was not trained with it.
    built_in.why_built_in_ = "the file's chat template is a placeholder";
  } else if (auto own = OfSource(tokenizer, architecture, source)) {
    own->may_fall_back_ = true;
    return std::move(*own);
  } else {
    built_in.why_built_in_ = "the file's chat template can't be used: " + OneLine(own.error());
  }
  return built_in;
}

std::string ChatTemplate::Spelling(std::optional<TokenId> id) const {
  return id ? tokenizer_->spec().tokens[static_cast<size_t>(*id)] : std::string();
}

Result<jinja::Text> ChatTemplate::RunTemplate(const ordered_json& messages,
                                              const ChatInput& input) const {
  jinja::Environment environment;
  environment.now = input.now;
  auto& variables = environment.variables;
  if (input.variables.is_object())
    for (const auto& [name, value] : input.variables.items()) {
      TERN_ASSIGN_OR_RETURN(variables[name], jinja::FromJson(value, jinja::Origin::kData));
    }
  TERN_ASSIGN_OR_RETURN(variables["messages"], MessagesValue(messages));
  const ordered_json tools = HasItems(input.tools) ? input.tools : ordered_json();
  TERN_ASSIGN_OR_RETURN(variables["tools"], jinja::FromJson(tools, jinja::Origin::kData));
  const TokenizerSpec& spec = tokenizer_->spec();
  variables["bos_token"] = jinja::TemplateText(Spelling(spec.bos));
  variables["eos_token"] = jinja::TemplateText(Spelling(spec.eos));
  variables["unk_token"] = jinja::TemplateText(Spelling(spec.unknown));
  variables["pad_token"] = jinja::TemplateText(Spelling(spec.padding));
  variables["add_generation_prompt"] = input.add_generation_prompt;
  if (input.thinking) variables["enable_thinking"] = *input.thinking;
  return template_->Render(environment);
}

std::vector<ChatSegment> ChatTemplate::Segments(const jinja::Text& text) const {
  std::vector<ChatSegment> segments;
  const auto plain = [&segments](std::string_view piece) {
    if (segments.empty() || segments.back().special) segments.push_back({});
    segments.back().text += piece;
  };
  const std::string_view bytes = text.bytes();
  for (size_t begin = 0; begin < bytes.size();) {
    const size_t end = text.StretchEnd(begin);
    const std::string_view stretch = bytes.substr(begin, end - begin);
    if (text.origin(begin) == jinja::Origin::kData) {
      plain(stretch);
    } else {
      for (const TextFragment& fragment : special_.Split(stretch)) {
        if (fragment.token) {
          segments.push_back({std::string(fragment.text), true});
        } else {
          plain(fragment.text);
        }
      }
    }
    begin = end;
  }
  const std::string bos = tokenizer_->spec().add_bos ? Spelling(tokenizer_->spec().bos) : "";
  const ChatSegment first{bos, true};
  if (!bos.empty() && (segments.empty() || segments[0] != first))
    segments.insert(segments.begin(), first);
  return segments;
}

Result<std::vector<ChatSegment>> ChatTemplate::BuiltIn(const ordered_json& messages,
                                                       const ChatInput& input,
                                                       const std::string& why) const {
  if (HasItems(input.tools))
    return Fail(Code::kUnsupported,
                "tools: the model's format has no place for them ({} format: {})", Name(family_),
                why);
  std::vector<ChatMessage> plain;
  for (size_t i = 0; i < messages.size(); ++i) {
    const ordered_json& message = messages[i];
    if (message.contains("tool_calls"))
      return Fail(
          Code::kUnsupported,
          "messages[{}].tool_calls: the model's format has no place for them ({} format: {})", i,
          Name(family_), why);
    plain.push_back({message["role"], message["content"]});
  }
  return RenderChat(family_, *tokenizer_, plain,
                    {.add_generation_prompt = input.add_generation_prompt,
                     .thinking = input.thinking.value_or(true)});
}

Result<RenderedChat> ChatTemplate::Render(const ChatInput& input) const {
  if (!input.tools.is_null() && !input.tools.is_array())
    return Fail(Code::kInvalidArgument, "tools: found {}, expected an array",
                input.tools.type_name());
  if (!input.variables.is_null() && !input.variables.is_object())
    return Fail(Code::kInvalidArgument, "chat_template_kwargs: found {}, expected an object",
                input.variables.type_name());
  TERN_ASSIGN_OR_RETURN(const ordered_json messages,
                        CheckedMessages(input.messages, knows_developer_));
  RenderedChat out;
  if (template_) {
    if (HasItems(input.tools) && !takes_tools())
      return Fail(Code::kUnsupported, "tools: the model's chat template has no place for them");
    auto text = RunTemplate(messages, input);
    if (text) {
      out.segments = Segments(*text);
      out.from_template = true;
      return out;
    }
    Error& error = text.error();
    if (error.code == Code::kInvalidArgument) {
      // The author of the template speaks to the author of the messages: lines don't matter.
      const std::string words = error.message.substr(error.message.find(": ") + 2);
      return Fail(Code::kInvalidArgument, "messages: the model's chat template says: {}",
                  Quoted(words, 400));
    }
    if (!may_fall_back_ || error.code == Code::kResourceExhausted)
      return Within("chat template", std::move(error));
    out.why_built_in = "the chat template failed: " + OneLine(error);
  } else {
    out.why_built_in = why_built_in_;
  }
  TERN_ASSIGN_OR_RETURN(out.segments, BuiltIn(messages, input, out.why_built_in));
  return out;
}

}  // namespace tern
