#include "model/executor.h"

#include <numeric>

namespace tern {

SequenceRows::SequenceRows(std::span<const TokenId> tokens, int64_t position,
                           std::span<const BlockId> table)
    : tokens_(tokens),
      table_(table),
      positions_(tokens.size()),
      sequences_(tokens.size(), 0),
      rows_(tokens.size()) {
  std::iota(positions_.begin(), positions_.end(), static_cast<int32_t>(position));
  std::iota(rows_.begin(), rows_.end(), 0);
}

}  // namespace tern
