// Internal to the answer writers: what each of them keeps of a choice, and their makers.
#pragma once

#include "server/answer.h"

namespace tern {

/// Names of the tools that the answer may call.
std::vector<std::string> ToolNames(const ApiRequest& request);

struct ChoiceState {
  explicit ChoiceState(std::vector<std::string> tools) : reader(std::move(tools)) {}

  /// The event's text, taken apart; all of it after the last event.
  ToolCallReader::Found Take(const Event& event);

  ToolCallReader reader;
  bool begun = false;
  std::string content;
  std::vector<ToolCall> calls;
  FinishReason finish = FinishReason::kLength;
  std::string stop;  // with kStopString: which one
  GenerationStats stats;
};

/// "chatcmpl-x" and 3 -> "call_x_3": as unique as the answer's id.
std::string CallId(const AnswerHead& head, size_t choice, size_t index);

std::unique_ptr<AnswerWriter> NewChatWriter(const ApiRequest& request, AnswerContext context,
                                            const Tokenizer& tokenizer);
std::unique_ptr<AnswerWriter> NewCompletionWriter(const ApiRequest& request, AnswerContext context,
                                                  const Tokenizer& tokenizer);
std::unique_ptr<AnswerWriter> NewNativeWriter(const ApiRequest& request, AnswerContext context,
                                              const Tokenizer& tokenizer);
std::unique_ptr<AnswerWriter> NewResponsesWriter(const ApiRequest& request, AnswerContext context,
                                                 const Tokenizer& tokenizer);

/// Of all choices, `n` for each prompt.
TokenUsage UsageOf(const std::vector<ChoiceState>& choices, int n);

}  // namespace tern
