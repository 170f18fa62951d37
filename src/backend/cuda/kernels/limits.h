// Work that does nothing but run into a limit of the GPU, to measure it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/cuda/kernels/launch.h"

namespace tern::cuda {

/// Reads `bytes`, a multiple of 16, from memory; sink: a word, so that the reads are needed.
void ReadAll(const void* data, size_t bytes, uint32_t* sink, const Launch& launch);

/// Products of ternary codes and int8 numbers on all tensor cores, operands in registers and shared
/// memory. Returns the number of multiplications and additions.
double MultiplyInt8(uint32_t* sink, const Launch& launch);

}  // namespace tern::cuda
