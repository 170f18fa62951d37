// Bodies of requests to the completion endpoints, and answers of models that may call tools. The
// first byte chooses.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "server/api_request.h"
#include "server/tool_calls.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

// Every byte of the answer is in the content or in a call, in whatever portions it came.
void ReadCalls(std::string_view text) {
  using namespace tern;
  ToolCallReader whole({"f", "get_weather"}), parts({"f", "get_weather"});
  auto found = whole.Feed(text);
  const auto rest = whole.Finish();
  found.content += rest.content;
  found.calls.insert(found.calls.end(), rest.calls.begin(), rest.calls.end());
  ToolCallReader::Found other;
  const auto add = [&other](const ToolCallReader::Found& more) {
    other.content += more.content;
    other.calls.insert(other.calls.end(), more.calls.begin(), more.calls.end());
  };
  for (size_t i = 0; i < text.size(); i += 3) add(parts.Feed(text.substr(i, 3)));
  add(parts.Finish());
  Require(found.content == other.content && found.calls == other.calls);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tern;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr Endpoint kEndpoints[] = {Endpoint::kCompletion, Endpoint::kChat, Endpoint::kResponses,
                                     Endpoint::kNative};
  const size_t choice = data[0] % 8 % 5;
  if (choice == 3) {
    ReadCalls(text);
    return 0;
  }
  const Endpoint endpoint = kEndpoints[choice == 4 ? 3 : choice];
  const auto request = ParseRequest(endpoint, text);
  if (!request) {
    Require(request.error().status == 400 && !request.error().message.empty());
    Require(nlohmann::json::accept(RenderError(request.error())));
    return 0;
  }
  Require(request->n >= 1 && request->n <= 64);
  Require(request->generation.max_tokens >= 1 && request->generation.stop.size() <= 16);
  const bool of_prompts = endpoint == Endpoint::kCompletion || endpoint == Endpoint::kNative;
  Require(of_prompts ? !request->prompts.empty() : !request->messages.empty());
  Require(request->tools.is_array());
  return 0;
}
