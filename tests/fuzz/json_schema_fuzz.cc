// JSON schemas from the network: never a crash; what compiles gives masks that the matcher agrees
// with, and complete texts are JSON.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "grammar_walk.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tern;
  const auto grammar =
      Grammar::FromJsonSchema(std::string_view(reinterpret_cast<const char*>(data), size));
  const std::string text = test::WalkOrRequireMessage(grammar, size);
  if (!text.empty() && !nlohmann::json::accept(text)) std::abort();
  return 0;
}
