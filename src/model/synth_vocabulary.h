// A complete byte-level BPE vocabulary of any size, for models without a language.
#pragma once

#include <cstdint>

#include "tokenizer/tokenizer_spec.h"

namespace tern {

/// The 256 bytes, then all strings of two bytes, of three, and so on, as far as they fit; each is
/// merged from its first bytes and its last. The last ids (a sixteenth, at most 256) are control
/// tokens, named as Llama 3 names its own: begin of text, end of text, the tenth end of turn. size
/// >= 512.
TokenizerSpec SynthVocabulary(int64_t size);

}  // namespace tern
