// Whether a model fits in a device's memory, from its file's list of tensors: before it is loaded.
#pragma once

#include "engine/memory_budget.h"
#include "formats/weight_source.h"
#include "model/decoder.h"
#include "model/model_config.h"

namespace tern {

/// Bytes of a device that nobody asks for: the kernels' code, recorded passes, attention's partial
/// sums.
inline constexpr uint64_t kDeviceOverhead = uint64_t{384} << 20;

/// About what a model takes: layers padded to the tiles that weights are packed in, tables in
/// floats where their type has no halves of its own. Errors: what the first matrix of a file can be
/// wrong in.
Result<DeviceNeeds> NeedsOf(const WeightSource& source, const ModelConfig& config,
                            const DecoderOptions& decoder, TableForm head, int64_t kv_positions);

}  // namespace tern
