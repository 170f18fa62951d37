// Conversations as the model families expect them, without a template: the family is recognised and
// its built-in format rendered (docs/formats.md, chat formats). chat_template.h runs a file's own
// template and falls back on this.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tokenizer/tokenizer.h"

namespace tern {

enum class ChatFamily : uint8_t {
  kPlain,    // no format: contents joined by line breaks (base and story models)
  kBitNet,   // BitNet 2B-4T: "User: ...<|eot_id|>Assistant: "
  kLlama3,   // "<|start_header_id|>user<|end_header_id|>\n\n...<|eot_id|>"
  kFalcon3,  // "<|user|>\n...\n<|assistant|>\n"
  kFalconE,  // "user\n...\nassistant\n", for Falcon-E files without ChatML's tokens
  kChatMl,   // "<|im_start|>user\n...<|im_end|>\n" (Qwen3, Bonsai, Falcon-E)
};

/// "plain", "bitnet", "llama3", "falcon3", "falcon-e", "chatml".
std::string_view Name(ChatFamily family);

/// The inverse of Name. Errors: kInvalidArgument; the message lists the names.
Result<ChatFamily> ParseChatFamily(std::string_view name);

/// The family by the text of spec().chat_template, else by the vocabulary and `architecture`
/// (general.architecture); kPlain when nothing speaks for another.
ChatFamily DetectChatFamily(const Tokenizer& tokenizer, std::string_view architecture = {});

struct ChatMessage {
  std::string role;  // "system" (also "developer"), "user", "assistant", "tool"
  std::string content;
};

struct ChatOptions {
  bool add_generation_prompt = true;  // the assistant's turn begins
  bool thinking = true;               // false: Qwen3's empty thinking block is put there
};

/// A stretch of rendered text: one special token by its spelling, or plain text in which nothing
/// is parsed.
struct ChatSegment {
  std::string text;
  bool special = false;

  bool operator==(const ChatSegment&) const = default;
};

/// Errors: kInvalidArgument for no messages or an unknown role.
Result<std::vector<ChatSegment>> RenderChat(ChatFamily family, const Tokenizer& tokenizer,
                                            std::span<const ChatMessage> messages,
                                            const ChatOptions& options);

/// Ids of rendered segments, BOS included. Special tokens that the vocabulary lacks become plain
/// text; plain text between two special tokens is encoded as one. What a user writes is never
/// parsed for special tokens.
std::vector<TokenId> EncodeChat(const Tokenizer& tokenizer, std::span<const ChatSegment> segments);

/// The tokens that end the assistant's turn: the family's own that the vocabulary has, then the
/// spec's eos, eot and stops. Without duplicates.
std::vector<TokenId> ChatStopTokens(ChatFamily family, const Tokenizer& tokenizer);

}  // namespace tern
