#include "tokenizer/detokenizer.h"

#include <utility>

#include "tokenizer/utf8.h"

namespace tern {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

}  // namespace

std::string Utf8Assembler::Feed(std::string_view bytes) {
  const std::string joined = std::exchange(held_, {}).append(bytes);
  std::string out;
  for (std::string_view rest = joined; !rest.empty();) {
    const size_t valid = ValidUtf8Prefix(rest);
    out += rest.substr(0, valid);
    rest.remove_prefix(valid);
    if (rest.empty()) break;
    const Utf8Step step = NextUtf8(rest);
    if (step.kind == Utf8Kind::kIncomplete) {
      held_ = rest;
      break;
    }
    out += kReplacement;
    rest.remove_prefix(step.length);
  }
  return out;
}

std::string Utf8Assembler::Finish() {
  const bool held = !std::exchange(held_, {}).empty();
  return held ? std::string(kReplacement) : std::string();
}

std::string Detokenizer::Feed(TokenId id) {
  const std::string piece = tokenizer_.PieceAfter(previous_, id, special_);
  previous_ = id;
  return assembler_.Feed(piece);
}

}  // namespace tern
