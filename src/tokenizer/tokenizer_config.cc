#include "tokenizer/tokenizer_config.h"

#include <algorithm>
#include <optional>
#include <string>

#include "tokenizer/json_util.h"
#include "tokenizer/quoted.h"

namespace tern {
namespace {

using nlohmann::json;

/// "bos_token": "<s>" or {"content": "<s>", ...}.
const std::string* TokenText(const json& config, const char* name) {
  const json* member = Member(config, name);
  if (member == nullptr) return nullptr;
  return member->is_object() ? StringMember(*member, "content")
                             : member->get_ptr<const std::string*>();
}

void ApplyToken(const json& config, const char* name, TokenizerSpec& spec,
                std::optional<TokenId>& id) {
  const std::string* text = TokenText(config, name);
  if (text == nullptr) return;
  const auto found = std::find(spec.tokens.begin(), spec.tokens.end(), *text);
  if (found == spec.tokens.end()) {
    spec.AddNote(fmt::format("{} {} is not in the vocabulary", name, Quoted(*text)));
  } else {
    id = static_cast<TokenId>(found - spec.tokens.begin());
  }
}

/// A text, or a list of {name, template} of which "default" (else the first) counts.
const std::string* ChatTemplate(const json& config) {
  const json* member = Member(config, "chat_template");
  if (member == nullptr) return nullptr;
  if (const auto* text = member->get_ptr<const std::string*>()) return text;
  const std::string* chosen = nullptr;
  if (!member->is_array()) return nullptr;
  for (const json& entry : *member) {
    const std::string* text = StringMember(entry, "template");
    const std::string* name = StringMember(entry, "name");
    if (text == nullptr) continue;
    if (chosen == nullptr || (name != nullptr && *name == "default")) chosen = text;
  }
  return chosen;
}

Result<TokenId> CheckedId(const char* name, const json& value, size_t tokens) {
  const auto* id = value.get_ptr<const json::number_unsigned_t*>();
  if (id == nullptr || *id >= tokens)
    return Fail(Code::kCorrupt, "{}: found {}, expected an id below {}", name,
                value.is_number() ? value.dump() : value.type_name(), tokens);
  return static_cast<TokenId>(*id);
}

Status ApplyId(const json& config, const char* name, TokenizerSpec& spec,
               std::optional<TokenId>& id) {
  const json* value = Member(config, name);
  if (value == nullptr || id || !value->is_number_unsigned()) return {};  // -1 is a usual "none"
  TERN_ASSIGN_OR_RETURN(id, CheckedId(name, *value, spec.tokens.size()));
  return {};
}

}  // namespace

Status ApplyTokenizerConfig(std::string_view text, TokenizerSpec& spec) {
  TERN_ASSIGN_OR_RETURN(const json config, ParseJson(text));
  ApplyToken(config, "bos_token", spec, spec.bos);
  ApplyToken(config, "eos_token", spec, spec.eos);
  ApplyToken(config, "unk_token", spec, spec.unknown);
  ApplyToken(config, "pad_token", spec, spec.padding);
  spec.add_bos = BoolMember(config, "add_bos_token", spec.add_bos);
  spec.add_eos = BoolMember(config, "add_eos_token", spec.add_eos);
  if (const std::string* chat = ChatTemplate(config)) spec.chat_template = *chat;
  return {};
}

Status ApplyGenerationConfig(std::string_view text, TokenizerSpec& spec) {
  TERN_ASSIGN_OR_RETURN(const json config, ParseJson(text));
  TERN_TRY(ApplyId(config, "bos_token_id", spec, spec.bos));
  TERN_TRY(ApplyId(config, "pad_token_id", spec, spec.padding));
  const json* ends = Member(config, "eos_token_id");
  if (ends == nullptr) return {};
  for (const json& value : ends->is_array() ? *ends : json::array({*ends})) {
    TERN_ASSIGN_OR_RETURN(const TokenId id, CheckedId("eos_token_id", value, spec.tokens.size()));
    if (!spec.eos) spec.eos = id;
    if (id != spec.eos && std::ranges::find(spec.stops, id) == spec.stops.end())
      spec.stops.push_back(id);
  }
  return {};
}

}  // namespace tern
