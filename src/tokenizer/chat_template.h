// Conversations as a model's own file wants them: its Jinja template where it has one that can be
// run, else the built-in format of its family (tokenizer/chat_format.h).
#pragma once

#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "jinja/template.h"
#include "tokenizer/chat_format.h"
#include "tokenizer/special_tokens.h"
#include "tokenizer/tokenizer.h"

namespace tern {

/// A conversation in OpenAI's JSON. The order of members is kept and gets into prompts (tools,
/// arguments), so callers parse with nlohmann::ordered_json.
struct ChatInput {
  /// An array of {"role", "content", ...}. content: a string, null, absent, or an array of
  /// {"type": "text", "text"}, which are joined by line breaks. tool_calls: arguments may be JSON
  /// in a string, as the API has them, or an object. "developer" counts as "system" where the
  /// template doesn't know it. Other members go to the template as they are.
  nlohmann::ordered_json messages;
  nlohmann::ordered_json tools;  // an array, or null for none
  nlohmann::ordered_json
      variables;  // more names for the template ("chat_template_kwargs"), or null
  bool add_generation_prompt = true;
  std::optional<bool> thinking;  // enable_thinking; absent: the template's own choice
  std::optional<std::tm> now;    // strftime_now; absent: the template has no date to write
};

struct RenderedChat {
  /// What no template wrote (contents, tools, variables) is only ever in plain segments.
  std::vector<ChatSegment> segments;
  bool from_template = false;  // else by the family's built-in format
  std::string why_built_in;    // one line; empty with from_template
};

/// Thread rule: immutable, safe to share. The tokenizer must outlive it.
class ChatTemplate {
 public:
  /// The file's own template, else the built-in format of DetectChatFamily, whatever the template
  /// is like: why_built_in() says what was wrong with it.
  static ChatTemplate OfModel(const Tokenizer& tokenizer, std::string_view architecture = {});
  /// A family's built-in format.
  static ChatTemplate OfFamily(const Tokenizer& tokenizer, ChatFamily family);
  /// The template in `source`. Errors: those of jinja::Template::Parse.
  static Result<ChatTemplate> OfSource(const Tokenizer& tokenizer, std::string_view architecture,
                                       std::string_view source);

  /// The prompt, for EncodeChat. A BOS that the vocabulary wants and the template doesn't write
  /// stands in front. A file's template that fails on this conversation for want of a construct, or
  /// as it would in Python, gives way to the built-in format. Errors: kInvalidArgument for
  /// messages that are none (naming the member), and for what the template itself refuses, in its
  /// words; kUnsupported for contents that are no text, and for tools or calls where the format has
  /// none; kResourceExhausted.
  Result<RenderedChat> Render(const ChatInput& input) const;

  /// Of the built-in format, and of ChatStopTokens.
  ChatFamily family() const { return family_; }
  bool has_template() const { return template_.has_value(); }
  /// Why OfModel chose the built-in format; empty with has_template().
  const std::string& why_built_in() const { return why_built_in_; }
  /// True when a template is there that reads `tools`.
  bool takes_tools() const { return template_ && template_->Mentions("tools"); }

 private:
  ChatTemplate(const Tokenizer& tokenizer, ChatFamily family);

  Result<jinja::Text> RunTemplate(const nlohmann::ordered_json& messages,
                                  const ChatInput& input) const;
  std::vector<ChatSegment> Segments(const jinja::Text& text) const;
  Result<std::vector<ChatSegment>> BuiltIn(const nlohmann::ordered_json& messages,
                                           const ChatInput& input, const std::string& why) const;
  std::string Spelling(std::optional<TokenId> id) const;

  const Tokenizer* tokenizer_;
  ChatFamily family_;
  std::optional<jinja::Template> template_;
  bool may_fall_back_ = true;     // not from a template that the user chose
  bool knows_developer_ = false;  // the role
  std::string why_built_in_;
  SpecialTokens special_;
};

}  // namespace tern
