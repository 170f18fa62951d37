// Memory straight from the system.
#pragma once

#include <cstddef>
#include <memory>

namespace tern {

/// Zeroed memory, aligned to 64 bytes; large blocks are asked for as huge pages. Pages of a large
/// block have no place yet: each lies on the memory node of the thread that touches it first. Null
/// when there is no memory left. bytes may be 0.
std::shared_ptr<std::byte> AllocatePages(size_t bytes);

}  // namespace tern
