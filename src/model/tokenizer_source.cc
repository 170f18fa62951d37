#include "model/tokenizer_source.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "model/tokenizer_metadata.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/sentencepiece_model.h"
#include "tokenizer/tiktoken.h"
#include "tokenizer/tokenizer_config.h"
#include "tokenizer/tokenizer_json.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kLargestFile = uint64_t{1} << 29;  // tokenizer.json of 262144 tokens: 33 MB

Result<std::string> ReadTextFile(const fs::path& path) {
  std::error_code ec;
  const uint64_t size = fs::file_size(path, ec);
  if (ec) return Fail(Code::kNotFound, "{}: {}", path.string(), ec.message());
  if (size > kLargestFile)
    return Fail(Code::kUnsupported, "{}: found {} bytes, expected a tokenizer of at most {}",
                path.string(), size, kLargestFile);
  std::ifstream in(path, std::ios::binary);
  std::string text(static_cast<size_t>(size), '\0');
  if (!in.read(text.data(), static_cast<std::streamsize>(text.size())))
    return Fail(Code::kInvalidArgument, "{}: can't be read", path.string());
  return text;
}

bool IsFile(const fs::path& path) {
  std::error_code ec;
  return fs::is_regular_file(path, ec);
}

/// Applies a file when it is there: `apply(text, spec)`.
template <class Apply>
Status ApplyIfPresent(const fs::path& path, Apply apply, TokenizerSpec& spec) {
  if (!IsFile(path)) return {};
  TERN_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  if (Status status = apply(text, spec); !status) return Within(path.string(), status.error());
  return {};
}

/// What the other files of a Hugging Face folder say about its tokenizer.
Status ApplyFolder(const fs::path& folder, TokenizerSpec& spec) {
  TERN_TRY(ApplyIfPresent(folder / "tokenizer_config.json", ApplyTokenizerConfig, spec));
  TERN_TRY(ApplyIfPresent(folder / "generation_config.json", ApplyGenerationConfig, spec));
  TERN_TRY(ApplyIfPresent(folder / "config.json", ApplyGenerationConfig, spec));
  const auto set_template = [](std::string_view text, TokenizerSpec& out) -> Status {
    out.chat_template = text;
    return {};
  };
  return ApplyIfPresent(folder / "chat_template.jinja", set_template, spec);
}

bool LooksLikeJson(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{';
}

Result<TokenizerSpec> ParseByContent(std::string_view text) {
  if (LooksLikeJson(text)) return ParseTokenizerJson(text);
  if (LooksLikeTiktoken(text)) return ParseTiktoken(text);
  if (LooksLikeSentencePieceModel(text)) return ParseSentencePieceModel(text);
  return Fail(Code::kUnsupported,
              "no tokenizer that tern knows: expected a GGUF file, a Hugging Face folder, a "
              "tokenizer.json, a tiktoken file or a SentencePiece model");
}

/// A tokenizer file of any kind but GGUF.
Result<TokenizerSpec> ReadTokenizerFile(const fs::path& path) {
  TERN_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  auto spec = ParseByContent(text);
  if (!spec) return Within(path.string(), spec.error());
  return spec;
}

Result<TokenizerSpec> ReadFolder(const fs::path& folder) {
  constexpr std::string_view kNames[] = {"tokenizer.json", "tokenizer.model", "qwen.tiktoken"};
  for (const std::string_view name : kNames) {
    if (!IsFile(folder / name)) continue;
    TERN_ASSIGN_OR_RETURN(TokenizerSpec spec, ReadTokenizerFile(folder / name));
    TERN_TRY(ApplyFolder(folder, spec));
    return spec;
  }
  return Fail(Code::kNotFound,
              "{}: no tokenizer, expected tokenizer.json, tokenizer.model or qwen.tiktoken",
              folder.string());
}

bool BeginsLikeGguf(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  char magic[4] = {};
  return in.read(magic, sizeof magic) && std::string_view(magic, sizeof magic) == "GGUF";
}

/// What every source has in common: the caller's choice, and what the vocabulary itself tells.
Result<TokenizerSpec> Finish(Result<TokenizerSpec> read, const std::string& path,
                             const TokenizerSourceOptions& options) {
  if (!read) return read;
  TokenizerSpec& spec = *read;
  if (options.pre_override && spec.model == TokenizerModel::kByteBpe) {
    spec.pre = *options.pre_override;
    if (auto traits = FindPretokenizer(spec.pre); !traits) return Within(path, traits.error());
  }
  for (const std::string_view name : {"<|eot_id|>", "<|im_end|>"}) {
    const auto found = std::find(spec.tokens.begin(), spec.tokens.end(), name);
    if (!spec.eot && found != spec.tokens.end())
      spec.eot = static_cast<TokenId>(found - spec.tokens.begin());
  }
  if (spec.chat_template.find("BITNETAssistant") != std::string::npos)
    spec.AddNote("the file's chat template is a placeholder, the model's own format is used");
  return read;
}

}  // namespace

Result<TokenizerSpec> ReadTokenizerSpec(const WeightSource& source,
                                        const TokenizerSourceOptions& options) {
  std::error_code ec;
  if (!HasTokenizer(source.metadata()) && fs::is_directory(source.path(), ec))
    return Finish(ReadFolder(source.path()), source.path(), options);
  auto spec = SpecFromMetadata(source.metadata(), options);
  if (!spec) return Within(source.path(), spec.error());
  return Finish(std::move(spec), source.path(), options);
}

Result<TokenizerSpec> LoadTokenizerSpec(const std::string& path,
                                        const TokenizerSourceOptions& options) {
  std::error_code ec;
  if (fs::is_directory(path, ec)) return Finish(ReadFolder(path), path, options);
  if (BeginsLikeGguf(path)) {
    TERN_ASSIGN_OR_RETURN(const auto source, OpenWeights(path, {}));
    return ReadTokenizerSpec(*source, options);
  }
  TERN_ASSIGN_OR_RETURN(TokenizerSpec spec, ReadTokenizerFile(path));
  if (fs::path(path).filename() == "tokenizer.json")
    TERN_TRY(ApplyFolder(fs::path(path).parent_path(), spec));
  return Finish(std::move(spec), path, options);
}

}  // namespace tern
