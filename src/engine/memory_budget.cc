#include "engine/memory_budget.h"

#include <algorithm>

#include "backend/backend.h"

namespace tern {
namespace {

constexpr int64_t kFewestBlocks = 2;

}  // namespace

Result<int64_t> PlanKvBlocks(const MemoryNeeds& needs, const MemoryLimits& limits) {
  const int64_t one = BlocksFor(needs.context);
  const bool fixed = limits.kv_positions > 0;
  int64_t blocks = fixed ? BlocksFor(limits.kv_positions) : one * needs.sequences;
  if (limits.budget > 0) {
    const uint64_t taken = needs.weights + needs.buffers;
    const uint64_t left = limits.budget > taken ? limits.budget - taken : 0;
    const auto fit = static_cast<int64_t>(left / std::max<uint64_t>(needs.block, 1));
    const int64_t least = fixed ? blocks : std::min(kFewestBlocks, blocks);
    if (fit < least)
      return Fail(
          Code::kResourceExhausted,
          "the memory budget of {} bytes is too small: weights take {}, activations {}, and "
          "{} positions of keys and values {}",
          limits.budget, needs.weights, needs.buffers, least * kBlockPositions,
          static_cast<uint64_t>(least) * needs.block);
    return std::min(blocks, fit);
  }
  if (!fixed && needs.sequences > 1 && limits.free_memory > 0) {
    const auto half =
        static_cast<int64_t>(limits.free_memory / 2 / std::max<uint64_t>(needs.block, 1));
    blocks = std::min(blocks, std::max(one, half));
  }
  return blocks;
}

Result<int64_t> PlanLayers(const DeviceNeeds& needs, uint64_t memory,
                           std::optional<int64_t> wanted) {
  const uint64_t layer = std::max<uint64_t>(needs.layer, 1);
  const int64_t room =
      memory < needs.rest ? -1 : static_cast<int64_t>((memory - needs.rest) / layer);
  const int64_t least = std::min(needs.layers, kLayerBuffers);
  const int64_t fit = room >= needs.layers ? needs.layers : room - least;
  const int64_t keep = wanted ? std::min(*wanted, needs.layers) : std::max<int64_t>(fit, 0);
  // With no more left out than there are buffers, nothing is saved.
  if (std::min(keep + least, needs.layers) <= room) return keep;
  return Fail(Code::kResourceExhausted,
              "the device has {} bytes for this model: tables, activations and the cache of one "
              "context take {}, a layer takes {}, and {} of {} layers are to stay there: {}",
              memory, needs.rest, needs.layer, keep, needs.layers,
              fit < 0 ? "not even two layers at a time fit"
                      : fmt::format("{} layers can, the others would be streamed", fit));
}

}  // namespace tern
