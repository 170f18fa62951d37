// How much cache there is memory for.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"

namespace tern {

/// Bytes that a loaded model takes, and what is wanted of its cache.
struct MemoryNeeds {
  uint64_t weights = 0;
  uint64_t buffers = 0;  // of the activations
  uint64_t block = 0;    // of the cache: keys and values of kBlockPositions positions, all layers
  int64_t context = 0;   // positions of a sequence
  int64_t sequences = 1;
};

struct MemoryLimits {
  uint64_t budget = 0;       // for all of it; 0: none
  int64_t kv_positions = 0;  // exactly so many; 0: as many as sequences want and limits allow
  uint64_t free_memory = 0;  // of the machine; 0: not known
};

/// Blocks of the cache: context positions for each sequence, less where the budget says so; without
/// a budget and with several sequences at most half of the free memory, but always the context of
/// one. Errors: kResourceExhausted with all the figures when what is asked for, or less than two
/// blocks, would be over the budget.
Result<int64_t> PlanKvBlocks(const MemoryNeeds& needs, const MemoryLimits& limits);

/// What a model takes of a device with memory of its own, in bytes.
struct DeviceNeeds {
  int64_t layers = 0;
  uint64_t layer = 0;  // packed weights of one
  uint64_t rest = 0;   // all else that has to be there
};

/// How many layers' weights stay on the device; the others need room for kLayerBuffers of them
/// (Backend::KeepLayers). wanted: so many, or all when there are fewer; absent: as many as fit.
/// Errors: kResourceExhausted with all the figures.
Result<int64_t> PlanLayers(const DeviceNeeds& needs, uint64_t memory,
                           std::optional<int64_t> wanted);

}  // namespace tern
