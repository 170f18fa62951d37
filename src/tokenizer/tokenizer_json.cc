#include "tokenizer/tokenizer_json.h"

#include <optional>
#include <utility>

#include "tokenizer/json_pipeline.h"
#include "tokenizer/json_util.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/quoted.h"
#include "tokenizer/spelling_table.h"
#include "tokenizer/vocabulary_tokenizer.h"

namespace tern {
namespace {

using nlohmann::json;

/// An id from the file; `limit` keeps a wild one from becoming a wild allocation.
Result<size_t> ReadId(std::string_view token, const json& value, size_t limit) {
  const auto* id = value.get_ptr<const json::number_unsigned_t*>();
  if (id == nullptr || *id >= limit)
    return Fail(Code::kCorrupt, "token {}: found id {}, expected a number below {}", Quoted(token),
                value.is_number() ? value.dump() : value.type_name(), limit);
  return static_cast<size_t>(*id);
}

/// Puts a token at its id. The same token may come twice: vocab and added_tokens overlap.
Status Place(TokenizerSpec& spec, size_t id, const std::string& token, TokenType type) {
  if (id >= spec.tokens.size()) {
    spec.tokens.resize(id + 1);
    spec.types.resize(id + 1, TokenType::kUnused);
  }
  std::string& place = spec.tokens[id];
  if (spec.types[id] != TokenType::kUnused && place != token)
    return Fail(Code::kCorrupt, "id {}: found both {} and {}", id, Quoted(place), Quoted(token));
  place = token;
  spec.types[id] = type;
  return {};
}

Status ReadVocabulary(const json& model, size_t limit, TokenizerSpec& spec) {
  const json* vocab = Member(model, "vocab");
  if (vocab == nullptr || !vocab->is_object() || vocab->empty())
    return Fail(Code::kCorrupt, "model.vocab: expected an object of tokens and ids");
  const bool byte_fallback = BoolMember(model, "byte_fallback", false);
  for (const auto& [token, value] : vocab->items()) {
    TERN_ASSIGN_OR_RETURN(const size_t id, ReadId(token, value, limit));
    const bool byte = byte_fallback && ByteTokenValue(token).has_value();
    TERN_TRY(Place(spec, id, token, byte ? TokenType::kByte : TokenType::kNormal));
  }
  return {};
}

Status ReadAddedTokens(const json& tokenizer, size_t limit, TokenizerSpec& spec) {
  const json* added = Member(tokenizer, "added_tokens");
  if (added == nullptr) return {};
  if (!added->is_array()) return Fail(Code::kCorrupt, "added_tokens: expected a list");
  bool strips = false;
  for (const json& token : *added) {
    const std::string* content = StringMember(token, "content");
    const json* id_value = Member(token, "id");
    if (content == nullptr || id_value == nullptr)
      return Fail(Code::kCorrupt, "added_tokens: expected an id and a content in each");
    TERN_ASSIGN_OR_RETURN(const size_t id, ReadId(*content, *id_value, limit));
    const bool special = BoolMember(token, "special", false);
    TERN_TRY(Place(spec, id, *content, special ? TokenType::kControl : TokenType::kUserDefined));
    for (const char* flag : {"lstrip", "rstrip", "single_word"})
      strips = strips || BoolMember(token, flag, false);
  }
  if (strips) spec.AddNote("lstrip, rstrip and single_word of added tokens are not applied");
  return {};
}

/// "a b" or ["a", "b"].
std::optional<std::string> MergeRule(const json& merge) {
  if (const auto* rule = merge.get_ptr<const std::string*>())
    return rule->find(' ', 1) == std::string::npos ? std::nullopt : std::optional(*rule);
  if (!merge.is_array() || merge.size() != 2) return std::nullopt;
  const auto* left = merge[0].get_ptr<const std::string*>();
  const auto* right = merge[1].get_ptr<const std::string*>();
  // A space inside the left part would be taken for the separator.
  if (left == nullptr || right == nullptr || left->find(' ', 1) != std::string::npos)
    return std::nullopt;
  return *left + ' ' + *right;
}

Status ReadMerges(const json& model, TokenizerSpec& spec) {
  const json* merges = Member(model, "merges");
  if (merges == nullptr || !merges->is_array())
    return Fail(Code::kCorrupt, "model.merges: expected a list");
  spec.merges.reserve(merges->size());
  for (const json& merge : *merges) {
    std::optional<std::string> rule = MergeRule(merge);
    if (!rule)
      return Fail(Code::kCorrupt, "merge {}: expected \"a b\" or [\"a\", \"b\"]",
                  spec.merges.size());
    spec.merges.push_back(std::move(*rule));
  }
  return {};
}

Status CheckModel(const json& model) {
  const std::string* type = StringMember(model, "type");
  if (type == nullptr ? Member(model, "merges") == nullptr : *type != "BPE")
    return Fail(Code::kUnsupported, "model type {}, expected BPE",
                type == nullptr ? "not given" : Quoted(*type));
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const std::string* text = StringMember(model, affix);
    if (text != nullptr && !text->empty())
      return Fail(Code::kUnsupported, "model.{}: found {}, expected none", affix, Quoted(*text));
  }
  return {};
}

std::optional<TokenId> FindToken(const TokenizerSpec& spec, std::string_view token) {
  for (size_t id = 0; id < spec.tokens.size(); ++id)
    if (spec.tokens[id] == token) return static_cast<TokenId>(id);
  return std::nullopt;
}

/// TemplateProcessing: special tokens before and after the text.
Status ReadTemplate(const json& processor, TokenizerSpec& spec) {
  const json* single = Member(processor, "single");
  if (single == nullptr || !single->is_array())
    return Fail(Code::kCorrupt, "post_processor: expected a list 'single'");
  bool after_text = false;
  for (const json& part : *single) {
    if (Member(part, "Sequence") != nullptr) {
      after_text = true;
      continue;
    }
    const json* special = Member(part, "SpecialToken");
    const std::string* name = special == nullptr ? nullptr : StringMember(*special, "id");
    const std::optional<TokenId> id = name == nullptr ? std::nullopt : FindToken(spec, *name);
    std::optional<TokenId>& place = after_text ? spec.eos : spec.bos;
    bool& add = after_text ? spec.add_eos : spec.add_bos;
    if (!id || add)
      return Fail(Code::kUnsupported,
                  "post_processor: expected one known token before and after the text at most");
    place = id;
    add = true;
  }
  return {};
}

Status ReadPostProcessor(const json& processor, TokenizerSpec& spec) {
  const std::string* type = StringMember(processor, "type");
  const std::string name = type == nullptr ? "?" : *type;
  if (name == "TemplateProcessing") return ReadTemplate(processor, spec);
  if (name == "ByteLevel") return {};
  const json* list = name == "Sequence" ? Member(processor, "processors") : nullptr;
  if (list == nullptr || !list->is_array())
    return Fail(Code::kUnsupported,
                "post_processor: found {}, expected TemplateProcessing or ByteLevel", Quoted(name));
  for (const json& member : *list) {
    if (const std::string* inner = StringMember(member, "type"); inner && *inner == "Sequence")
      return Fail(Code::kUnsupported, "post_processor: a Sequence inside a Sequence");
    TERN_TRY(ReadPostProcessor(member, spec));
  }
  return {};
}

/// Scores that put tokens in the order of their merges, for readers that know no merges: 0 for what
/// isn't merged, minus the place of the first merge for the rest, -1000 for added tokens.
void FillScores(TokenizerSpec& spec) {
  constexpr float kAdded = -1000;
  SpellingTable ids;
  ids.Reserve(spec.tokens.size());
  spec.scores.assign(spec.tokens.size(), 0);
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    ids.Add(spec.tokens[id], static_cast<int32_t>(id));
    const TokenType type = spec.types[id];
    if (type == TokenType::kControl || type == TokenType::kUserDefined) spec.scores[id] = kAdded;
  }
  for (size_t rank = 0; rank < spec.merges.size(); ++rank) {
    std::string joined = spec.merges[rank];
    const size_t space = joined.find(' ', 1);
    if (space == std::string::npos) continue;  // not a pair: no reader can use it
    joined.erase(space, 1);
    const std::optional<int32_t> id = ids.Find(joined);
    if (id && spec.scores[static_cast<size_t>(*id)] == 0)
      spec.scores[static_cast<size_t>(*id)] = -1 - static_cast<float>(rank);
  }
}

Status ReadModel(const json& tokenizer, size_t limit, TokenizerSpec& spec) {
  const json* model = Member(tokenizer, "model");
  if (model == nullptr) return Fail(Code::kCorrupt, "expected a member 'model'");
  TERN_TRY(CheckModel(*model));
  TERN_TRY(ReadVocabulary(*model, limit, spec));
  TERN_TRY(ReadAddedTokens(tokenizer, limit, spec));
  TERN_TRY(ReadMerges(*model, spec));
  spec.ignore_merges = BoolMember(*model, "ignore_merges", false);
  if (const std::string* unknown = StringMember(*model, "unk_token")) {
    spec.unknown = FindToken(spec, *unknown);
    if (spec.unknown && spec.types[static_cast<size_t>(*spec.unknown)] == TokenType::kNormal)
      spec.types[static_cast<size_t>(*spec.unknown)] = TokenType::kUnknown;
  }
  return {};
}

}  // namespace

Result<TokenizerSpec> ParseTokenizerJson(std::string_view text) {
  TERN_ASSIGN_OR_RETURN(const json tokenizer, ParseJson(text));
  TokenizerSpec spec;
  // Every token takes more than one byte of the file, so no sane id reaches its size.
  TERN_TRY(ReadModel(tokenizer, text.size(), spec));
  TERN_ASSIGN_OR_RETURN(const JsonPipeline pipeline, ReadJsonPipeline(tokenizer));
  if (pipeline.byte_level) {
    spec.model = TokenizerModel::kByteBpe;
    spec.pre = PretokenizerName(pipeline.steps, spec.ignore_merges.value_or(false));
  } else {
    spec.model = TokenizerModel::kSentencePieceBpe;
    spec.add_space_prefix = pipeline.add_space_prefix;
    FillScores(spec);
  }
  for (const std::string& note : pipeline.notes) spec.AddNote(note);
  if (const json* processor = Member(tokenizer, "post_processor"))
    TERN_TRY(ReadPostProcessor(*processor, spec));
  return spec;
}

}  // namespace tern
