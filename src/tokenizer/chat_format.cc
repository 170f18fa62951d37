#include "tokenizer/chat_format.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "tokenizer/quoted.h"

namespace tern {
namespace {

struct Family {
  ChatFamily family;
  std::string_view name;
  std::vector<std::string_view> stops;
};

const std::vector<Family>& Families() {
  static const std::vector<Family> families = {
      {ChatFamily::kPlain, "plain", {}},
      {ChatFamily::kBitNet, "bitnet", {"<|eot_id|>", "<|end_of_text|>"}},
      {ChatFamily::kLlama3, "llama3", {"<|eot_id|>", "<|end_of_text|>"}},
      {ChatFamily::kFalcon3, "falcon3", {"<|endoftext|>"}},
      {ChatFamily::kFalconE, "falcon-e", {"<|endoftext|>"}},
      {ChatFamily::kChatMl, "chatml", {"<|im_end|>", "<|endoftext|>"}},
  };
  return families;
}

const Family& Row(ChatFamily family) { return Families()[static_cast<size_t>(family)]; }

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\n\v\f\r";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

/// First letter in upper case.
std::string Capitalized(std::string_view word) {
  std::string out(word);
  if (out[0] >= 'a' && out[0] <= 'z') out[0] = static_cast<char>(out[0] - 'a' + 'A');
  return out;
}

/// "developer" is the newer word for "system".
Result<std::string_view> CheckedRole(std::string_view role) {
  if (role == "developer") return "system";
  constexpr std::array<std::string_view, 4> kRoles = {"system", "user", "assistant", "tool"};
  const auto* found = std::find(kRoles.begin(), kRoles.end(), role);
  if (found == kRoles.end())
    return Fail(Code::kInvalidArgument,
                "message role {}, expected system, developer, user, assistant or tool",
                Quoted(role));
  return *found;
}

/// Collects segments for one family.
class Renderer {
 public:
  Renderer(ChatFamily family, const Tokenizer& tokenizer, const ChatOptions& options)
      : family_(family), tokenizer_(tokenizer), options_(options) {}

  void Begin() {
    const TokenizerSpec& spec = tokenizer_.spec();
    const bool has_own = family_ == ChatFamily::kBitNet || family_ == ChatFamily::kLlama3;
    if (spec.bos && (has_own || spec.add_bos)) Special(spec.tokens[static_cast<size_t>(*spec.bos)]);
  }

  void Message(std::string_view role, std::string_view content, bool first) {
    switch (family_) {
      case ChatFamily::kPlain:
        if (!first) Plain("\n");
        return Plain(content);
      case ChatFamily::kBitNet:
        Plain(Capitalized(role) + ": ");
        Plain(Trim(content));
        return Special("<|eot_id|>");
      case ChatFamily::kLlama3:
        Llama3Header(role);
        Plain(Trim(content));
        return Special("<|eot_id|>");
      case ChatFamily::kFalcon3:
        Falcon3Header(role);
        Plain(content);
        if (role == "assistant") FalconEnd();
        return Plain("\n");
      case ChatFamily::kFalconE:
        Plain(role);
        Plain("\n");
        Plain(content);
        return Plain("\n");
      case ChatFamily::kChatMl:
        ChatMlHeader(role);
        Plain(role == "assistant" ? WithoutThoughts(content) : content);
        Special("<|im_end|>");
        return Plain("\n");
    }
  }

  void GenerationPrompt() {
    switch (family_) {
      case ChatFamily::kPlain:
        return;
      case ChatFamily::kBitNet:
        return Plain("Assistant: ");
      case ChatFamily::kLlama3:
        return Llama3Header("assistant");
      case ChatFamily::kFalcon3:
        return Falcon3Header("assistant");
      case ChatFamily::kFalconE:
        return Plain("assistant\n");
      case ChatFamily::kChatMl:
        ChatMlHeader("assistant");
        if (!options_.thinking && Thinks()) EmptyThoughts();
        return;
    }
  }

  std::vector<ChatSegment> Take() { return std::move(segments_); }

 private:
  void Plain(std::string_view text) {
    if (text.empty()) return;
    if (segments_.empty() || segments_.back().special) segments_.push_back({});
    segments_.back().text += text;
  }
  void Special(std::string_view text) { segments_.push_back({std::string(text), true}); }

  void Llama3Header(std::string_view role) {
    Special("<|start_header_id|>");
    Plain(role);
    Special("<|end_header_id|>");
    Plain("\n\n");
  }
  void Falcon3Header(std::string_view role) {
    Special(fmt::format("<|{}|>", role));
    Plain("\n");
  }
  /// Files whose template says so end an answer with EOS; others go on with the next line.
  void FalconEnd() {
    const TokenizerSpec& spec = tokenizer_.spec();
    if (spec.eos && spec.chat_template.find("eos_token") != std::string::npos)
      Special(spec.tokens[static_cast<size_t>(*spec.eos)]);
  }
  void ChatMlHeader(std::string_view role) {
    Special("<|im_start|>");
    Plain(role);
    Plain("\n");
  }
  bool Thinks() const { return tokenizer_.Find("<think>").has_value(); }
  void EmptyThoughts() {
    Special("<think>");
    Plain("\n\n");
    Special("</think>");
    Plain("\n\n");
  }
  /// Earlier answers go into the prompt without what the model thought.
  std::string_view WithoutThoughts(std::string_view content) const {
    constexpr std::string_view kEnd = "</think>";
    const size_t end = Thinks() ? content.rfind(kEnd) : std::string_view::npos;
    if (end == std::string_view::npos) return content;
    content.remove_prefix(end + kEnd.size());
    const size_t text = content.find_first_not_of('\n');
    return text == std::string_view::npos ? std::string_view() : content.substr(text);
  }

  ChatFamily family_;
  const Tokenizer& tokenizer_;
  ChatOptions options_;
  std::vector<ChatSegment> segments_;
};

}  // namespace

std::string_view Name(ChatFamily family) { return Row(family).name; }

Result<ChatFamily> ParseChatFamily(std::string_view name) {
  std::string known;
  for (const Family& row : Families()) {
    if (row.name == name) return row.family;
    known.append(known.empty() ? "" : ", ").append(row.name);
  }
  return Fail(Code::kInvalidArgument, "unknown chat format {}, known are {}", Quoted(name), known);
}

ChatFamily DetectChatFamily(const Tokenizer& tokenizer, std::string_view architecture) {
  const TokenizerSpec& spec = tokenizer.spec();
  const auto says = [&](std::string_view text) {
    return spec.chat_template.find(text) != std::string::npos;
  };
  // The published 2B-4T GGUF has a placeholder ("Human: ... BITNETAssistant: "), the Hugging Face
  // folder the real template.
  if (says("BITNETAssistant")) return ChatFamily::kBitNet;
  if (says("<|im_start|>")) return ChatFamily::kChatMl;
  if (says("<|start_header_id|>")) return ChatFamily::kLlama3;
  if (says("Assistant: ") && says("<|eot_id|>")) return ChatFamily::kBitNet;
  if (says("<|user|>") && says("<|assistant|>") && !says("<|end|>")) return ChatFamily::kFalcon3;
  if (spec.pre == "falcon_e")
    return tokenizer.Find("<|im_start|>") ? ChatFamily::kChatMl : ChatFamily::kFalconE;
  const bool bitnet = architecture == "bitnet-b1.58" || architecture == "bitnet-25";
  if (spec.chat_template.empty() && bitnet && tokenizer.Find("<|eot_id|>"))
    return ChatFamily::kBitNet;
  return ChatFamily::kPlain;
}

Result<std::vector<ChatSegment>> RenderChat(ChatFamily family, const Tokenizer& tokenizer,
                                            std::span<const ChatMessage> messages,
                                            const ChatOptions& options) {
  if (messages.empty()) return Fail(Code::kInvalidArgument, "a chat needs at least one message");
  Renderer renderer(family, tokenizer, options);
  renderer.Begin();
  for (size_t i = 0; i < messages.size(); ++i) {
    TERN_ASSIGN_OR_RETURN(const std::string_view role, CheckedRole(messages[i].role));
    renderer.Message(role, messages[i].content, i == 0);
  }
  if (options.add_generation_prompt) renderer.GenerationPrompt();
  return renderer.Take();
}

std::vector<TokenId> EncodeChat(const Tokenizer& tokenizer, std::span<const ChatSegment> segments) {
  std::vector<TokenId> out;
  std::string plain;
  const auto flush = [&] {
    const std::vector<TokenId> ids = tokenizer.Encode(plain, {});
    out.insert(out.end(), ids.begin(), ids.end());
    plain.clear();
  };
  for (const ChatSegment& segment : segments) {
    const std::optional<TokenId> id = segment.special ? tokenizer.Find(segment.text) : std::nullopt;
    if (!id) {
      plain += segment.text;
      continue;
    }
    flush();
    out.push_back(*id);
  }
  flush();
  return out;
}

std::vector<TokenId> ChatStopTokens(ChatFamily family, const Tokenizer& tokenizer) {
  std::vector<TokenId> out;
  const auto add = [&out](std::optional<TokenId> id) {
    if (id && std::find(out.begin(), out.end(), *id) == out.end()) out.push_back(*id);
  };
  for (const std::string_view stop : Row(family).stops) add(tokenizer.Find(stop));
  const TokenizerSpec& spec = tokenizer.spec();
  add(spec.eos);
  add(spec.eot);
  for (const TokenId id : spec.stops) add(id);
  return out;
}

}  // namespace tern
