// GBNF from the network: never a crash; what compiles gives masks that the matcher agrees with.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "grammar_walk.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tern;
  const auto grammar =
      Grammar::FromGbnf(std::string_view(reinterpret_cast<const char*>(data), size));
  test::WalkOrRequireMessage(grammar, size);
  return 0;
}
