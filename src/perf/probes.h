// Loops that do one thing as fast as a core can, to learn how fast that is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "platform/cpu_features.h"

namespace tern {

/// Reads every byte of a buffer (64-byte aligned, bytes a multiple of 512) `rounds` times. The
/// result depends on what was read, so that no read can be left out.
using ReadFunction = uint64_t (*)(const std::byte* data, size_t bytes, int64_t rounds);

/// The widest reading loop that this CPU has.
ReadFunction WidestRead(CpuFeatures features);

/// A loop of multiply-adds that lives in registers.
struct ComputeProbe {
  std::string_view name;  // "avx512vnni"; as TERN_FORCE_ISA spells the instruction set
  CpuFeatures needs;
  double ops_per_round;         // multiplications and additions
  void (*run)(int64_t rounds);  // rounds >= 1
};

/// Those of this build, slowest first; whether one can run is for the caller to ask (needs). Int8
/// into int32; float32, fused; bfloat16 into float32.
std::span<const ComputeProbe> IntProbes();
std::span<const ComputeProbe> FloatProbes();
std::span<const ComputeProbe> Bfloat16Probes();

}  // namespace tern
