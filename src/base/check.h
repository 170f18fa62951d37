// Checks of our own reasoning. Never reachable from file or network data: those give a Result.
#pragma once

namespace tern {

[[noreturn]] void CheckFailed(const char* expression, const char* file, int line);

}  // namespace tern

/// Always on: aborts with the expression and its place.
#define TERN_CHECK(expr) \
  ((expr) ? static_cast<void>(0) : ::tern::CheckFailed(#expr, __FILE__, __LINE__))

/// Only in builds without NDEBUG: for the preconditions of hot loops.
#ifdef NDEBUG
#define TERN_DCHECK(expr) static_cast<void>(0)
#else
#define TERN_DCHECK(expr) TERN_CHECK(expr)
#endif
