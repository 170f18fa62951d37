#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace tern {

void CheckFailed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "tern: internal error: %s failed at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace tern
