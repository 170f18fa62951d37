#include "model/synth_vocabulary.h"

#include <fmt/format.h>

#include <algorithm>

#include "tokenizer/byte_alphabet.h"

namespace tern {
namespace {

constexpr size_t kBytes = 256;

std::string ControlName(size_t index) {
  switch (index) {
    case 0:
      return "<|begin_of_text|>";
    case 1:
      return "<|end_of_text|>";
    case 9:
      return "<|eot_id|>";
    default:
      return fmt::format("<|reserved_special_token_{}|>", index);
  }
}

}  // namespace

TokenizerSpec SynthVocabulary(int64_t size) {
  const auto count = static_cast<size_t>(size);
  const size_t controls = std::min(count / 16, kBytes);
  const size_t first_control = count - controls;
  TokenizerSpec spec;
  spec.pre = "llama-bpe";
  spec.add_bos = true;
  spec.tokens.reserve(count);
  spec.merges.reserve(first_control - kBytes);
  for (size_t byte = 0; byte < kBytes; ++byte) {
    const char text = static_cast<char>(byte);
    spec.tokens.push_back(ToAlphabet({&text, 1}));
  }
  for (size_t id = kBytes; id < first_control; ++id) {
    const std::string& left = spec.tokens[(id - kBytes) / kBytes];
    const std::string& right = spec.tokens[id % kBytes];
    spec.merges.push_back(left + " " + right);
    spec.tokens.push_back(left + right);
  }
  for (size_t i = 0; i < controls; ++i) spec.tokens.push_back(ControlName(i));
  spec.types.assign(count, TokenType::kNormal);
  std::fill(spec.types.begin() + static_cast<int64_t>(first_control), spec.types.end(),
            TokenType::kControl);
  const auto id = [&](size_t control) { return static_cast<TokenId>(first_control + control); };
  spec.bos = id(0);
  spec.eos = id(1);
  spec.padding = id(1);
  spec.eot = id(9);
  return spec;
}

}  // namespace tern
