// The filters and tests that exist, so that a template that wants another is refused when it is
// parsed.
#pragma once

#include <string_view>

namespace tern::jinja {

bool IsFilter(std::string_view name);
bool IsTest(std::string_view name);

}  // namespace tern::jinja
