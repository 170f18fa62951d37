// The specification in plain loops: what every other backend must reproduce.
#pragma once

#include <memory>

#include "backend/backend.h"

namespace tern {

/// threads <= 0: one per usable CPU. Results do not depend on it.
std::unique_ptr<Backend> CreateReferenceBackend(int threads);

}  // namespace tern
