// The messages of a chat.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "tokenizer/chat_format.h"

namespace tern::cli {

/// An optional system message, then turns of the user and the assistant.
class Conversation {
 public:
  /// system: may be empty, then there is none.
  explicit Conversation(const std::string& system);

  std::span<const ChatMessage> messages() const { return messages_; }
  void AddUser(std::string content) { messages_.push_back({"user", std::move(content)}); }
  void AddAssistant(std::string content) { messages_.push_back({"assistant", std::move(content)}); }
  void RemoveLast() { messages_.pop_back(); }

  /// Forgets everything but the system message.
  void Clear();
  /// Forgets the oldest message of the user and its answers. False when only the newest message is
  /// left to forget.
  bool DropOldest();

  /// A JSON array of {"role", "content"}. Errors name the file.
  Status Save(const std::string& path) const;
  /// Replaces everything by the file's messages, which must be in the order a chat has.
  Status Load(const std::string& path);

 private:
  size_t SystemCount() const { return !messages_.empty() && messages_[0].role == "system" ? 1 : 0; }

  std::vector<ChatMessage> messages_;
};

}  // namespace tern::cli
