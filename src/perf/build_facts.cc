// Alone in its file: CMake gives it the definitions, and only it is built anew when they change.
#include "perf/fingerprint.h"

namespace tern {

BuildFacts ThisBuild() { return {TERN_VERSION, TERN_COMPILER, TERN_FLAGS}; }

}  // namespace tern
