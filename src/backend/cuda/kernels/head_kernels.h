// The kernels that Logits chooses from, for tests and measurements.
#pragma once

#include "backend/cuda/kernels/head.h"

namespace tern::cuda {

/// kStream: few rows of x, all of which fit into shared memory; the table streams past them.
/// kWgmma: Hopper's products of a warpgroup. kTiled: any GPU.
enum class HeadKernel : uint8_t { kStream, kWgmma, kTiled };

/// Whether it can.
bool CanUse(HeadKernel kernel, TileType type, int m, int k_tiles, const Launch& launch);
/// Logits of a table in tiles with a given kernel: the same bits with each that can.
void LogitsWith(HeadKernel kernel, const HeadArgs& args, const Launch& launch);

}  // namespace tern::cuda
