// Calls of tools in a model's answer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tern {

struct ToolCall {
  std::string name;
  std::string arguments;  // a JSON object, as text

  bool operator==(const ToolCall&) const = default;
};

/// Takes an answer apart, in whatever portions it comes, into text and calls. Two forms are known:
///   <tool_call>{"name": ..., "arguments": {...}}</tool_call>   (Hermes, Qwen), anywhere
///   {"name": ..., "parameters": {...}}; {...}                  (Llama 3.1), as the whole answer
/// In the second form the name has to be one of the tools', as a JSON object may just be the
/// answer. What is not well-formed stays text. Thread rule: one owner.
class ToolCallReader {
 public:
  explicit ToolCallReader(std::vector<std::string> tools) : tools_(std::move(tools)) {}

  struct Found {
    std::string content;
    std::vector<ToolCall> calls;
  };
  /// What is certain by now. No calls without tools.
  Found Feed(std::string_view text);
  /// The answer has ended: the rest.
  Found Finish();
  /// Whether there has been any call.
  bool called() const { return called_; }

 private:
  enum class State { kStart, kText, kTagged, kBare };
  /// One step on held_; false when more text is needed.
  bool Step(Found& found);
  void Add(std::vector<ToolCall> calls, Found& found);

  std::vector<std::string> tools_;
  State state_ = State::kStart;
  std::string held_;
  bool called_ = false;
};

}  // namespace tern
