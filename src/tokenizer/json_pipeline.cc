#include "tokenizer/json_pipeline.h"

#include "tokenizer/json_util.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/quoted.h"

namespace tern {
namespace {

using nlohmann::json;

constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581

std::string TypeOf(const json& node) {
  const std::string* type = StringMember(node, "type");
  return type == nullptr ? "?" : *type;
}

/// The members of a Sequence, or the node itself. Sequences inside sequences don't occur.
std::vector<const json*> Flatten(const json* node, const char* list_name) {
  std::vector<const json*> out;
  if (node == nullptr) return out;
  const json* list = TypeOf(*node) == "Sequence" ? Member(*node, list_name) : nullptr;
  if (list == nullptr || !list->is_array()) {
    out.push_back(node);
    return out;
  }
  for (const json& member : *list) out.push_back(&member);
  return out;
}

/// pattern.String or pattern.Regex.
const std::string* Pattern(const json& node, const char* kind) {
  const json* pattern = Member(node, "pattern");
  return pattern == nullptr ? nullptr : StringMember(*pattern, kind);
}

Status ReadNormalizer(const json& node, JsonPipeline& out) {
  const std::string type = TypeOf(node);
  if (type == "NFC") {
    out.notes.emplace_back("NFC normalisation is not applied");
    return {};
  }
  if (type == "Prepend") {
    const std::string* prefix = StringMember(node, "prepend");
    if (prefix != nullptr && *prefix == kSpace) {
      out.add_space_prefix = true;
      return {};
    }
  }
  if (type == "Replace") {
    const std::string* from = Pattern(node, "String");
    const std::string* to = StringMember(node, "content");
    if (from != nullptr && to != nullptr && *from == " " && *to == kSpace) {
      out.replaces_spaces = true;
      return {};
    }
  }
  return Fail(Code::kUnsupported,
              "normalizer: found {}, expected none, NFC, or Prepend and Replace of spaces by "
              "U+2581",
              Quoted(type));
}

Status ReadSplit(const json& node, JsonPipeline& out) {
  const std::string* behavior = StringMember(node, "behavior");
  const std::string kind = behavior == nullptr ? "?" : *behavior;
  const bool invert = BoolMember(node, "invert", false);
  if (const std::string* text = Pattern(node, "String")) {
    // Gemma: spaces are gone by then, so it splits nothing.
    if (*text == " " && out.replaces_spaces) return {};
    return Fail(Code::kUnsupported, "pre_tokenizer: Split at the string {}", Quoted(*text));
  }
  const std::string* expression = Pattern(node, "Regex");
  if (expression == nullptr)
    return Fail(Code::kUnsupported, "pre_tokenizer: Split without an expression");
  const std::optional<std::string_view> step = FindStep(*expression);
  if (!step)
    return Fail(Code::kUnsupported, "pre_tokenizer: unknown expression {}",
                Quoted(*expression, 400));
  // Keeping the matches only is the same as cutting around them when nothing lies between them.
  const bool covers = *step == "llama3" || *step == "qwen2" || *step == "gpt2";
  const bool isolated = kind == "Isolated" && !invert;
  if (!isolated && !(kind == "Removed" && invert && covers))
    return Fail(Code::kUnsupported, "pre_tokenizer: Split with behavior {}{}, expected Isolated",
                kind, invert ? " inverted" : "");
  out.steps.push_back(*step);
  return {};
}

Status ReadByteLevel(const json& node, JsonPipeline& out) {
  if (BoolMember(node, "add_prefix_space", true))
    return Fail(Code::kUnsupported, "pre_tokenizer: ByteLevel with add_prefix_space");
  out.byte_level = true;
  if (BoolMember(node, "use_regex", true)) out.steps.emplace_back("gpt2");
  return {};
}

Status ReadMetaspace(const json& node, JsonPipeline& out) {
  const std::string* replacement = StringMember(node, "replacement");
  if (replacement == nullptr || *replacement != kSpace)
    return Fail(Code::kUnsupported, "pre_tokenizer: Metaspace with another sign than U+2581");
  if (BoolMember(node, "split", true))
    return Fail(Code::kUnsupported, "pre_tokenizer: Metaspace that splits");
  out.replaces_spaces = true;
  if (const std::string* scheme = StringMember(node, "prepend_scheme")) {
    out.add_space_prefix = *scheme != "never";
    if (*scheme == "first")
      out.notes.emplace_back("a space is also put before text after special tokens");
  } else {
    out.add_space_prefix = BoolMember(node, "add_prefix_space", true);
  }
  return {};
}

Status ReadPreTokenizer(const json& node, JsonPipeline& out) {
  const std::string type = TypeOf(node);
  if (type == "Split") return ReadSplit(node, out);
  if (type == "ByteLevel") return ReadByteLevel(node, out);
  if (type == "Metaspace") return ReadMetaspace(node, out);
  if (type == "Digits") {
    out.steps.emplace_back(BoolMember(node, "individual_digits", false) ? "digit" : "digits");
    return {};
  }
  const std::string* behavior = StringMember(node, "behavior");
  if (type == "Punctuation" && behavior != nullptr && *behavior == "Contiguous") {
    out.steps.emplace_back("punctuation");
    return {};
  }
  return Fail(Code::kUnsupported,
              "pre_tokenizer: found {}, expected Split, Digits, ByteLevel, contiguous Punctuation "
              "or Metaspace",
              Quoted(type));
}

}  // namespace

Result<JsonPipeline> ReadJsonPipeline(const json& tokenizer) {
  JsonPipeline out;
  for (const json* node : Flatten(Member(tokenizer, "normalizer"), "normalizers"))
    TERN_TRY(ReadNormalizer(*node, out));
  for (const json* node : Flatten(Member(tokenizer, "pre_tokenizer"), "pretokenizers"))
    TERN_TRY(ReadPreTokenizer(*node, out));
  if (out.byte_level == out.replaces_spaces)
    return Fail(Code::kUnsupported,
                "found {}, expected a ByteLevel pre_tokenizer or spaces replaced by U+2581",
                out.byte_level ? "both" : "neither of both");
  if (out.replaces_spaces && !out.steps.empty())
    return Fail(Code::kUnsupported, "pre_tokenizer: splitting with spaces replaced by U+2581");
  return out;
}

}  // namespace tern
