// <regex> without a false alarm: under a sanitizer GCC 12 takes std::regex's own state for
// uninitialised (GCC bug 105562).
#pragma once

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <regex>
