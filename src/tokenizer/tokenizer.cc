#include "tokenizer/tokenizer.h"

#include <limits>
#include <utility>

#include "tokenizer/byte_bpe.h"
#include "tokenizer/sentencepiece_bpe.h"

namespace tern {
namespace {

Status CheckId(std::string_view name, std::optional<TokenId> id, size_t tokens) {
  if (!id || (*id >= 0 && static_cast<size_t>(*id) < tokens)) return {};
  return Fail(Code::kCorrupt, "{}: found {}, expected an id below {}", name, *id, tokens);
}

Status CheckLength(std::string_view name, size_t found, size_t tokens) {
  if (found == 0 || found == tokens) return {};
  return Fail(Code::kCorrupt, "{}: found {} entries, expected {}, one per token", name, found,
              tokens);
}

Status CheckSpec(const TokenizerSpec& spec) {
  const size_t tokens = spec.tokens.size();
  // Spellings missing from the vocabulary get numbers behind the tokens: 256 bytes and three per
  // merge at most.
  const size_t most = std::numeric_limits<TokenId>::max() - 1024;
  if (tokens == 0) return Fail(Code::kCorrupt, "the vocabulary has no tokens");
  if (tokens > most || spec.merges.size() > (most - tokens) / 3)
    return Fail(Code::kUnsupported, "{} tokens and {} merges are too many", tokens,
                spec.merges.size());
  TERN_TRY(CheckLength("token types", spec.types.size(), tokens));
  TERN_TRY(CheckLength("scores", spec.scores.size(), tokens));
  TERN_TRY(CheckId("bos token", spec.bos, tokens));
  TERN_TRY(CheckId("eos token", spec.eos, tokens));
  TERN_TRY(CheckId("eot token", spec.eot, tokens));
  TERN_TRY(CheckId("unknown token", spec.unknown, tokens));
  TERN_TRY(CheckId("padding token", spec.padding, tokens));
  for (const TokenId id : spec.stops) TERN_TRY(CheckId("stop token", id, tokens));
  return {};
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::Create(TokenizerSpec spec) {
  TERN_TRY(CheckSpec(spec));
  return spec.model == TokenizerModel::kByteBpe ? ByteBpeTokenizer::Create(std::move(spec))
                                                : SentencePieceTokenizer::Create(std::move(spec));
}

}  // namespace tern
