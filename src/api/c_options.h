// The C API's options as those of the C++ API.
#pragma once

#include <tern/tern.h>
#include <tern/tern_c.h>

namespace tern {

/// given may be NULL. Errors: kInvalidArgument for a size that no version of the struct has, a
/// value outside an enumeration, a NULL where a text is needed.
v1::Result<v1::LoadOptions> FromC(const tern_load_options* given);
v1::Result<v1::GenerateOptions> FromC(const tern_generate_options* given);

}  // namespace tern
