#include "formats/digest.h"

#include <xxhash.h>

namespace tern {

uint64_t Digest(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

uint64_t Digest(std::string_view text) { return XXH3_64bits(text.data(), text.size()); }

}  // namespace tern
