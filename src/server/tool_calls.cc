#include "server/tool_calls.h"

#include <algorithm>
#include <optional>

#include "base/json_marks.h"
#include "server/json_fields.h"

namespace tern {
namespace {

constexpr std::string_view kOpen = "<tool_call>";
constexpr std::string_view kClose = "</tool_call>";
constexpr std::string_view kBlank = " \t\r\n";

// One call; nothing for what is none.
std::optional<ToolCall> ParseCall(std::string_view text) {
  const auto json = ParseBody(text);
  if (!json) return std::nullopt;
  const Json* name = Member(*json, "name");
  const Json* arguments = Member(*json, "arguments");
  if (arguments == nullptr) arguments = Member(*json, "parameters");
  if (name == nullptr || !name->is_string()) return std::nullopt;
  if (arguments == nullptr) return ToolCall{name->get<std::string>(), "{}"};
  if (arguments->is_string())
    return ToolCall{name->get<std::string>(), arguments->get<std::string>()};
  if (!arguments->is_object()) return std::nullopt;
  return ToolCall{name->get<std::string>(), Dump(*arguments)};
}

// The end of the JSON object that the text begins with; npos: it has none.
size_t EndOfObject(std::string_view text) {
  int depth = 0;
  size_t end = std::string_view::npos;
  ForEachJsonMark(text, [&](char c, size_t at) {
    if (c == '{') ++depth;
    if (c == '}' && --depth == 0) end = at + 1;
    return end == std::string_view::npos;
  });
  return end;
}

// Objects with nothing but blanks and ; between them, all of them calls of these tools; else none.
std::vector<ToolCall> ParseBare(std::string_view text, const std::vector<std::string>& tools) {
  std::vector<ToolCall> calls;
  for (;;) {
    const size_t start = text.find_first_not_of(" \t\r\n;");
    if (start == std::string_view::npos) return calls;
    text.remove_prefix(start);
    const size_t end = text[0] == '{' ? EndOfObject(text) : std::string_view::npos;
    if (end == std::string_view::npos) return {};
    auto call = ParseCall(text.substr(0, end));
    if (!call || std::find(tools.begin(), tools.end(), call->name) == tools.end()) return {};
    calls.push_back(*std::move(call));
    text.remove_prefix(end);
  }
}

// Where what may become the tag begins at the end of the text; its size when nothing does.
size_t PossibleTag(std::string_view text) {
  for (size_t length = std::min(text.size(), kOpen.size() - 1); length > 0; --length)
    if (text.ends_with(kOpen.substr(0, length))) return text.size() - length;
  return text.size();
}

}  // namespace

ToolCallReader::Found ToolCallReader::Feed(std::string_view text) {
  Found found;
  if (tools_.empty()) {
    found.content = text;
    return found;
  }
  held_ += text;
  while (Step(found)) {
  }
  return found;
}

bool ToolCallReader::Step(Found& found) {
  switch (state_) {
    case State::kStart: {  // blanks before and between calls are nobody's text
      const size_t first = held_.find_first_not_of(kBlank);
      if (first == std::string::npos) return false;
      const std::string_view rest = std::string_view(held_).substr(first);
      if (rest[0] == '{' && !called_) {
        state_ = State::kBare;
      } else if (rest.size() < kOpen.size() && kOpen.starts_with(rest)) {
        return false;
      } else {
        if (rest.starts_with(kOpen)) held_.erase(0, first);
        state_ = State::kText;
      }
      return true;
    }
    case State::kText: {
      const size_t tag = held_.find(kOpen);
      const size_t certain = tag == std::string::npos ? PossibleTag(held_) : tag;
      found.content += held_.substr(0, certain);
      held_.erase(0, certain);
      if (tag == std::string::npos) return false;
      state_ = State::kTagged;
      return true;
    }
    case State::kTagged: {
      const size_t end = held_.find(kClose);
      if (end == std::string::npos) return false;
      auto call = ParseCall(std::string_view(held_).substr(kOpen.size(), end - kOpen.size()));
      if (call)
        Add({*std::move(call)}, found);
      else
        found.content += held_.substr(0, end + kClose.size());
      held_.erase(0, end + kClose.size());
      state_ = State::kStart;
      return true;
    }
    case State::kBare:
      return false;
  }
  return false;
}

void ToolCallReader::Add(std::vector<ToolCall> calls, Found& found) {
  called_ = called_ || !calls.empty();
  std::move(calls.begin(), calls.end(), std::back_inserter(found.calls));
}

ToolCallReader::Found ToolCallReader::Finish() {
  Found found;
  if (state_ == State::kBare) Add(ParseBare(held_, tools_), found);
  // Some models leave out the closing tag of their last call.
  if (state_ == State::kTagged)
    if (auto call = ParseCall(std::string_view(held_).substr(kOpen.size())))
      Add({*std::move(call)}, found);
  const bool blanks_after_calls = called_ && held_.find_first_not_of(kBlank) == std::string::npos;
  if (found.calls.empty() && !blanks_after_calls) found.content = std::move(held_);
  held_.clear();
  return found;
}

}  // namespace tern
