#include "conversation.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "formats/hf_json.h"
#include "text_input.h"

namespace tern::cli {
namespace {

Result<ChatMessage> ReadMessage(const nlohmann::json& entry, const std::string& where) {
  TERN_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(entry, where, ""));
  ChatMessage message;
  TERN_ASSIGN_OR_RETURN(message.role, fields.String("role"));
  TERN_ASSIGN_OR_RETURN(message.content, fields.String("content"));
  return message;
}

// A system message can only be the first; the others take turns, beginning with the user's.
Status CheckRole(const std::string& role, size_t index, size_t systems, const std::string& where) {
  const bool system = index < systems;
  const char* expected = (index - systems) % 2 == 0 ? "user" : "assistant";
  if (system || role == expected) return {};
  return Fail(Code::kInvalidArgument, "{}: found role '{}', expected '{}'", where, role, expected);
}

}  // namespace

Conversation::Conversation(const std::string& system) {
  if (!system.empty()) messages_.push_back({"system", system});
}

void Conversation::Clear() { messages_.resize(SystemCount()); }

bool Conversation::DropOldest() {
  const auto first = messages_.begin() + static_cast<ptrdiff_t>(SystemCount());
  auto next = first;
  while (next != messages_.end() && (next == first || next->role != "user")) ++next;
  if (next == messages_.end()) return false;
  messages_.erase(first, next);
  return true;
}

Status Conversation::Save(const std::string& path) const {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const ChatMessage& message : messages_)
    json.push_back({{"role", message.role}, {"content", message.content}});
  const std::string text =
      json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "wb"), std::fclose);
  const bool written = file &&
                       std::fwrite(text.data(), 1, text.size(), file.get()) == text.size() &&
                       std::fflush(file.get()) == 0;
  if (written) return {};
  return Fail(Code::kResourceExhausted, "{}: can't be written: {}", path, std::strerror(errno));
}

Status Conversation::Load(const std::string& path) {
  TERN_ASSIGN_OR_RETURN(const std::string text, ReadFileOrStdin(path));
  TERN_ASSIGN_OR_RETURN(const nlohmann::json json, ParseJson(text, path));
  if (!json.is_array())
    return Fail(Code::kInvalidArgument, "{}: found {}, expected an array of messages", path,
                json.type_name());
  std::vector<ChatMessage> messages;
  size_t systems = 0;
  for (const nlohmann::json& entry : json) {
    const std::string where = fmt::format("{}: message {}", path, messages.size());
    TERN_ASSIGN_OR_RETURN(ChatMessage message, ReadMessage(entry, where));
    if (messages.empty() && message.role == "system") systems = 1;
    TERN_TRY(CheckRole(message.role, messages.size(), systems, where));
    messages.push_back(std::move(message));
  }
  messages_ = std::move(messages);
  return {};
}

}  // namespace tern::cli
