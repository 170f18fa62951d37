#include "model/tokenizer_metadata.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/pretokenizer.h"

namespace tern {
namespace {

constexpr char kModel[] = "tokenizer.ggml.model";
constexpr char kPre[] = "tokenizer.ggml.pre";
constexpr char kTokens[] = "tokenizer.ggml.tokens";
constexpr char kTypes[] = "tokenizer.ggml.token_type";
constexpr char kScores[] = "tokenizer.ggml.scores";
constexpr char kMerges[] = "tokenizer.ggml.merges";
constexpr char kChatTemplate[] = "tokenizer.chat_template";

// The sizes of the Llama-3 vocabulary, by which files without a pre-tokenizer are recognised.
constexpr size_t kLlama3Tokens = 128256;
constexpr size_t kLlama3Merges = 280147;

Status ReadModel(const Metadata& metadata, TokenizerSpec& spec) {
  TERN_ASSIGN_OR_RETURN(const std::string model, metadata.String(kModel));
  if (model == "gpt2") {
    spec.model = TokenizerModel::kByteBpe;
  } else if (model == "llama") {
    spec.model = TokenizerModel::kSentencePieceBpe;
  } else {
    return Fail(Code::kUnsupported,
                "{}: found {:?}, expected \"gpt2\" (byte-level BPE) or \"llama\" (SentencePiece)",
                kModel, model.substr(0, 64));
  }
  return {};
}

Status CheckLength(const char* key, size_t found, size_t tokens) {
  if (found == tokens) return {};
  return Fail(Code::kCorrupt, "{}: found {} entries, expected {}, one per token", key, found,
              tokens);
}

Status ReadTypes(const Metadata& metadata, TokenizerSpec& spec) {
  if (!metadata.Has(kTypes)) return {};
  TERN_ASSIGN_OR_RETURN(const std::vector<int64_t> types, metadata.Ints(kTypes));
  TERN_TRY(CheckLength(kTypes, types.size(), spec.tokens.size()));
  spec.types.reserve(types.size());
  for (size_t id = 0; id < types.size(); ++id) {
    if (types[id] < 1 || types[id] > 6)
      return Fail(Code::kCorrupt, "{}: token {}: found {}, expected 1 to 6", kTypes, id, types[id]);
    spec.types.push_back(static_cast<TokenType>(types[id]));
  }
  return {};
}

Status ReadScores(const Metadata& metadata, TokenizerSpec& spec) {
  if (!metadata.Has(kScores)) {
    spec.AddNote("the file has no token scores, all count as equal");
    return {};
  }
  TERN_ASSIGN_OR_RETURN(const std::vector<double> scores, metadata.Floats(kScores));
  TERN_TRY(CheckLength(kScores, scores.size(), spec.tokens.size()));
  spec.scores.reserve(scores.size());
  for (const double score : scores) spec.scores.push_back(static_cast<float>(score));
  return {};
}

Status ReadId(const Metadata& metadata, const char* key, size_t tokens,
              std::optional<TokenId>& id) {
  constexpr int64_t kNone = std::numeric_limits<uint32_t>::max();
  TERN_ASSIGN_OR_RETURN(const int64_t value, metadata.IntOr(key, -1));
  if (value == -1 || value == kNone) return {};
  if (value < 0 || static_cast<uint64_t>(value) >= tokens)
    return Fail(Code::kCorrupt, "{}: found {}, expected an id below {}", key, value, tokens);
  id = static_cast<TokenId>(value);
  return {};
}

Status ReadIds(const Metadata& metadata, TokenizerSpec& spec) {
  const size_t tokens = spec.tokens.size();
  TERN_TRY(ReadId(metadata, "tokenizer.ggml.bos_token_id", tokens, spec.bos));
  TERN_TRY(ReadId(metadata, "tokenizer.ggml.eos_token_id", tokens, spec.eos));
  TERN_TRY(ReadId(metadata, "tokenizer.ggml.eot_token_id", tokens, spec.eot));
  TERN_TRY(ReadId(metadata, "tokenizer.ggml.unknown_token_id", tokens, spec.unknown));
  return ReadId(metadata, "tokenizer.ggml.padding_token_id", tokens, spec.padding);
}

/// The pre-tokenizer's name: the caller's, the file's, or by the vocabulary.
Status ReadPre(const Metadata& metadata, const TokenizerSourceOptions& options,
               TokenizerSpec& spec) {
  TERN_ASSIGN_OR_RETURN(spec.pre, metadata.StringOr(kPre, ""));
  if (options.pre_override) {
    spec.pre = *options.pre_override;
  } else if (spec.pre.empty()) {
    const bool llama3 = spec.tokens.size() == kLlama3Tokens && spec.merges.size() == kLlama3Merges;
    spec.pre = llama3 ? "llama-bpe" : "default";
    spec.AddNote(llama3 ? "the file names no pre-tokenizer; its vocabulary is Llama-3's, so "
                          "\"llama-bpe\" is used (bitnet.cpp uses \"default\")"
                        : "the file names no pre-tokenizer, \"default\" is used");
  }
  return {};
}

Result<PretokenizerTraits> TraitsOf(const TokenizerSpec& spec) {
  auto traits = FindPretokenizer(spec.pre);
  if (!traits) return Within(kPre, traits.error());
  return traits;
}

}  // namespace

bool HasTokenizer(const Metadata& metadata) { return metadata.Has(kModel); }

Result<TokenizerSpec> SpecFromMetadata(const Metadata& metadata,
                                       const TokenizerSourceOptions& options) {
  TokenizerSpec spec;
  TERN_TRY(ReadModel(metadata, spec));
  TERN_ASSIGN_OR_RETURN(spec.tokens, metadata.Strings(kTokens));
  TERN_TRY(ReadTypes(metadata, spec));
  TERN_TRY(ReadIds(metadata, spec));
  bool add_bos = true;
  if (spec.model == TokenizerModel::kByteBpe) {
    TERN_ASSIGN_OR_RETURN(spec.merges, metadata.Strings(kMerges));
    TERN_TRY(ReadPre(metadata, options, spec));
    TERN_ASSIGN_OR_RETURN(const PretokenizerTraits traits, TraitsOf(spec));
    add_bos = traits.add_bos;
  } else {
    TERN_TRY(ReadScores(metadata, spec));
    // Files made from a tokenizer.json may have both; the merges are what the scores were made of.
    if (metadata.Has(kMerges)) {
      TERN_ASSIGN_OR_RETURN(spec.merges, metadata.Strings(kMerges));
    }
  }
  TERN_ASSIGN_OR_RETURN(spec.add_bos, metadata.BoolOr("tokenizer.ggml.add_bos_token", add_bos));
  TERN_ASSIGN_OR_RETURN(spec.add_eos, metadata.BoolOr("tokenizer.ggml.add_eos_token", false));
  TERN_ASSIGN_OR_RETURN(spec.add_space_prefix,
                        metadata.BoolOr("tokenizer.ggml.add_space_prefix", true));
  TERN_ASSIGN_OR_RETURN(spec.chat_template, metadata.StringOr(kChatTemplate, ""));
  return spec;
}

}  // namespace tern
