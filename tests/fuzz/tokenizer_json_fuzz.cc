// Tokenizer files of every kind but GGUF, and any bytes as text for what they describe.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/chat_format.h"
#include "tokenizer/detokenizer.h"
#include "tokenizer/sentencepiece_model.h"
#include "tokenizer/tiktoken.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/tokenizer_config.h"
#include "tokenizer/tokenizer_json.h"
#include "tokenizer/utf8.h"

namespace tern {
namespace {

void Expect(bool condition) {
  if (!condition) std::abort();
}

/// Ids are tokens, and streaming gives what decoding the whole does where that is UTF-8.
void TryText(const Tokenizer& tokenizer, std::string_view text, const EncodeOptions& options) {
  const std::vector<TokenId> ids = tokenizer.Encode(text, options);
  Detokenizer detokenizer(tokenizer);
  std::string streamed;
  for (const TokenId id : ids) {
    Expect(id >= 0 && static_cast<size_t>(id) < tokenizer.size());
    streamed += detokenizer.Feed(id);
  }
  streamed += detokenizer.Finish();
  Expect(ValidUtf8Prefix(streamed) == streamed.size());
  const std::string whole = tokenizer.Decode(ids);
  if (ValidUtf8Prefix(whole) == whole.size()) Expect(streamed == whole);
}

void TrySpec(TokenizerSpec spec, std::string_view input) {
  const auto tokenizer = Tokenizer::Create(std::move(spec));
  if (!tokenizer) return Expect(tokenizer.error().message.find('\n') == std::string::npos);
  for (const bool parse : {false, true}) {
    const EncodeOptions options{.add_bos = parse, .add_eos = parse, .parse_special = parse};
    TryText(**tokenizer, "It's 2024!\n\n  \xf0\x9f\x98\x80 \xff<s></s> hello", options);
    TryText(**tokenizer, input, options);
  }
  const std::vector<ChatMessage> talk = {{"user", std::string(input)}};
  const auto segments = RenderChat(DetectChatFamily(**tokenizer), **tokenizer, talk, {});
  if (segments) EncodeChat(**tokenizer, *segments);
}

void ExpectOneLine(const Error& error) { Expect(error.message.find('\n') == std::string::npos); }

void TryFile(std::string_view input) {
  if (auto spec = ParseTokenizerJson(input)) {
    for (const auto& apply : {ApplyTokenizerConfig, ApplyGenerationConfig})
      if (const Status status = apply(input, *spec); !status) ExpectOneLine(status.error());
    Expect(spec->note.find('\n') == std::string::npos);
    TrySpec(std::move(*spec), input);
  } else {
    ExpectOneLine(spec.error());
  }
  if (auto spec = ParseSentencePieceModel(input)) TrySpec(std::move(*spec), input);
  if (auto spec = ParseTiktoken(input)) TrySpec(std::move(*spec), input);
  (void)LooksLikeTiktoken(input);
  (void)LooksLikeSentencePieceModel(input);
}

}  // namespace
}  // namespace tern

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tern::TryFile({reinterpret_cast<const char*>(data), size});
  return 0;
}
