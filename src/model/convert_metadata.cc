#include "model/convert_metadata.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "formats/codec.h"

namespace tern {
namespace {

constexpr char kArchitecture[] = "general.architecture";
constexpr std::array<TernaryTarget, 4> kTargets = {
    {{"i2_s", 40}, {"tq1_0", 36}, {"tq2_0", 37}, {"q2_0", 41}}};

template <class T>
bool Fits(int64_t value) {
  return value >= std::numeric_limits<T>::min() &&
         value <= static_cast<int64_t>(std::numeric_limits<T>::max());
}

/// Counts and ids are u32, reals f32, elements of integer arrays i32, wherever the value allows.
GgufValue Typed(const MetaValue& value) {
  return std::visit(
      [](const auto& v) -> GgufValue {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, int64_t>) {
          if (Fits<uint32_t>(v)) return static_cast<uint32_t>(v);
          if (Fits<int32_t>(v)) return static_cast<int32_t>(v);
          return v;
        } else if constexpr (std::is_same_v<T, double>) {
          return static_cast<float>(v);
        } else if constexpr (std::is_same_v<T, std::vector<int64_t>>) {
          if (!std::all_of(v.begin(), v.end(), Fits<int32_t>)) return v;
          std::vector<int32_t> narrow(v.size());
          std::transform(v.begin(), v.end(), narrow.begin(),
                         [](int64_t x) { return static_cast<int32_t>(x); });
          return narrow;
        } else if constexpr (std::is_same_v<T, std::vector<double>>) {
          std::vector<float> narrow(v.size());
          std::transform(v.begin(), v.end(), narrow.begin(),
                         [](double x) { return static_cast<float>(x); });
          return narrow;
        } else {
          return v;
        }
      },
      value);
}

bool DescribesTheSourceFile(std::string_view key) {
  return key == "general.alignment" || key == "general.file_type" ||
         key == "general.quantization_version" || key.starts_with("split.");
}

bool HasToken(const TokenizerSpec& spec, std::string_view token) {
  return std::find(spec.tokens.begin(), spec.tokens.end(), token) != spec.tokens.end();
}

}  // namespace

std::span<const TernaryTarget> TernaryTargets() { return kTargets; }

const TernaryTarget* FindTernaryTarget(std::string_view type) {
  const Codec* codec = FindCodec(type);
  const auto found = std::find_if(kTargets.begin(), kTargets.end(), [codec](const auto& target) {
    return codec && codec->name == target.codec;
  });
  return found == kTargets.end() ? nullptr : &*found;
}

std::string TernaryTargetNames() {
  std::string names;
  for (const TernaryTarget& target : kTargets)
    names += (names.empty() ? "" : ", ") + std::string(target.codec);
  return names;
}

Status WriteMetadata(const Metadata& metadata, uint32_t file_type, GgufWriter& writer) {
  TERN_ASSIGN_OR_RETURN(std::string architecture, metadata.String(kArchitecture));
  writer.Set(kArchitecture, std::move(architecture));
  writer.Set("general.file_type", file_type);
  writer.Set("general.quantization_version", kQuantizationVersion);
  for (const auto& [key, value] : metadata.all())
    if (!DescribesTheSourceFile(key)) writer.Set(key, Typed(value));
  return {};
}

Status WriteTokenizer(const TokenizerSpec& spec, int64_t rows, GgufWriter& writer,
                      std::vector<std::string>& notes) {
  const size_t count = spec.tokens.size();
  const auto padded = static_cast<size_t>(rows);
  if (count > padded)
    return Fail(Code::kCorrupt, "the tokenizer has {} tokens, the embedding only {} rows", count,
                rows);
  std::vector<std::string> tokens = spec.tokens;
  std::vector<int32_t> types(padded, static_cast<int32_t>(TokenType::kNormal));
  std::transform(spec.types.begin(), spec.types.end(), types.begin(),
                 [](TokenType type) { return static_cast<int32_t>(type); });
  for (size_t id = count; id < padded; ++id) {
    tokens.push_back(fmt::format("[PAD{}]", id));
    types[id] = static_cast<int32_t>(TokenType::kUnused);
  }
  if (padded > count)
    notes.push_back(
        fmt::format("{} unused tokens added: the embedding has more rows than the tokenizer tokens",
                    padded - count));

  const bool sentence_piece = spec.model == TokenizerModel::kSentencePieceBpe;
  writer.Set("tokenizer.ggml.model", std::string(sentence_piece ? "llama" : "gpt2"));
  writer.Set("tokenizer.ggml.pre", spec.pre.empty() ? std::string("default") : spec.pre);
  writer.Set("tokenizer.ggml.tokens", std::move(tokens));
  writer.Set("tokenizer.ggml.token_type", std::move(types));
  if (sentence_piece) {
    std::vector<float> scores = spec.scores;
    scores.resize(padded, 0);
    writer.Set("tokenizer.ggml.scores", std::move(scores));
    writer.Set("tokenizer.ggml.add_space_prefix", spec.add_space_prefix);
  }
  if (!spec.merges.empty()) writer.Set("tokenizer.ggml.merges", spec.merges);

  // GGUF has room for one more end token beside eos.
  const std::optional<TokenId> end =
      spec.eot || spec.stops.empty() ? spec.eot : std::optional<TokenId>(spec.stops.front());
  const std::array<std::pair<std::string_view, std::optional<TokenId>>, 5> ids = {
      {{"bos", spec.bos},
       {"eos", spec.eos},
       {"eot", end},
       {"unknown", spec.unknown},
       {"padding", spec.padding}}};
  for (const auto& [name, id] : ids)
    if (id) writer.Set(fmt::format("tokenizer.ggml.{}_token_id", name), static_cast<uint32_t>(*id));
  writer.Set("tokenizer.ggml.add_bos_token", spec.add_bos);
  writer.Set("tokenizer.ggml.add_eos_token", spec.add_eos);
  return {};
}

std::string MendedChatTemplate(const std::string& found, const Metadata& metadata,
                               const TokenizerSpec& spec) {
  constexpr std::string_view kPlaceholder = "BITNETAssistant";
  constexpr char kTemplateOf2B4T[] =
      "{{ bos_token }}{% for message in messages %}"
      "{{ message['role'] | capitalize }}{{ ': ' }}{{ message['content'] | trim }}{{ '<|eot_id|>' "
      "}}"
      "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}";
  const MetaValue* value = metadata.Find(kArchitecture);
  const auto* architecture = value ? std::get_if<std::string>(value) : nullptr;
  const bool kind_of_2b4t = architecture &&
                            (*architecture == "bitnet-b1.58" || *architecture == "bitnet-25") &&
                            HasToken(spec, "<|eot_id|>") && HasToken(spec, "<|begin_of_text|>");
  const bool placeholder = found.find(kPlaceholder) != std::string::npos;
  return placeholder || (found.empty() && kind_of_2b4t) ? kTemplateOf2B4T : found;
}

}  // namespace tern
