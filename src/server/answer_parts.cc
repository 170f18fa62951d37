#include "server/answer_parts.h"

#include <fmt/format.h>

namespace tern {

std::vector<std::string> ToolNames(const ApiRequest& request) {
  std::vector<std::string> names;
  for (const Json& tool : request.tools)
    names.push_back(tool["function"]["name"].get<std::string>());
  return names;
}

ToolCallReader::Found ChoiceState::Take(const Event& event) {
  ToolCallReader::Found found = reader.Feed(event.text);
  if (event.finish) {
    ToolCallReader::Found rest = reader.Finish();
    found.content += rest.content;
    std::move(rest.calls.begin(), rest.calls.end(), std::back_inserter(found.calls));
    finish = *event.finish;
    stop = event.stop;
    stats = event.stats;
  }
  content += found.content;
  calls.insert(calls.end(), found.calls.begin(), found.calls.end());
  return found;
}

std::string CallId(const AnswerHead& head, size_t choice, size_t index) {
  const size_t dash = head.id.find_first_of("-_");
  return fmt::format("call_{}_{}_{}", head.id.substr(dash == std::string::npos ? 0 : dash + 1),
                     choice, index);
}

TokenUsage UsageOf(const std::vector<ChoiceState>& choices, int n) {
  TokenUsage usage;
  for (size_t i = 0; i < choices.size(); ++i) {
    const GenerationStats& stats = choices[i].stats;
    usage.generated += stats.generated_tokens;
    if (i % static_cast<size_t>(n) != 0) continue;
    usage.prompt += stats.prompt_tokens;
    usage.cached += stats.cached_tokens;
  }
  return usage;
}

std::unique_ptr<AnswerWriter> NewAnswerWriter(const ApiRequest& request, AnswerContext context,
                                              const Tokenizer& tokenizer) {
  switch (request.endpoint) {
    case Endpoint::kChat:
      return NewChatWriter(request, std::move(context), tokenizer);
    case Endpoint::kResponses:
      return NewResponsesWriter(request, std::move(context), tokenizer);
    case Endpoint::kNative:
      return NewNativeWriter(request, std::move(context), tokenizer);
    case Endpoint::kCompletion:
      break;
  }
  return NewCompletionWriter(request, std::move(context), tokenizer);
}

}  // namespace tern
