// What this machine can do at most, measured: the denominators of every "percent of the limit".
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/cpu_features.h"

namespace tern {

/// One measured limit; the best of several runs, of more when other work disturbs them.
struct Limit {
  std::string name;      // "dram read", "l2 read", "int8 avx512vnni"
  std::string unit;      // "GB/s" (1e9 bytes), "TOPS" (1e12 multiplications and additions)
  uint64_t bytes = 0;    // read by each thread when all read; 0: lives in registers
  double one = 0;        // one thread
  double all = 0;        // all threads together
  double cpu_share = 1;  // of their CPUs that the threads had, in the worse of these two: below
                         // about 0.9 other work was in the way, and the limit is higher than found
};

struct MachineLimits {
  int threads = 0;
  CpuFeatures features = 0;
  std::vector<Limit> limits;

  const Limit* Find(std::string_view name) const;
};

struct LimitOptions {
  int threads = 0;  // <= 0: one per usable CPU
  double seconds =
      0.01;  // of one run, about: on a busy machine, short ones are whole ones more often
  int runs = 20;
  bool one_thread = true;                   // false: only all threads together, in half the time
  std::optional<uint64_t> dram_bytes = {};  // absent: four times the last-level cache, at least
                                            // 32 MiB a thread
};

/// Name of the DRAM row and of the compute row of an instruction set ("avx512vnni").
inline constexpr std::string_view kDramRead = "dram read";
std::string IntLimitName(std::string_view isa);

/// Called before each measurement with its name; returning false ends with what is done.
using LimitProgress = std::function<bool(std::string_view)>;

/// The read stream from memory, each thread over its own part of a buffer that no cache holds.
/// Returns a row without a figure when there is not enough memory.
Limit MeasureDramRead(const LimitOptions& options);
/// Int8 multiply-adds of one instruction set, as IntLimitName names it; nothing when this CPU or
/// build doesn't have it.
std::optional<Limit> MeasureIntPeak(std::string_view isa, const LimitOptions& options);
/// Multiply-adds of floats and of bfloat16, of the fastest instruction set that this CPU has:
/// "f32 avx512", "bf16 amx". Nothing when this build has no loop for it.
std::optional<Limit> MeasureFloatPeak(const LimitOptions& options);
std::optional<Limit> MeasureBfloat16Peak(const LimitOptions& options);
/// The read stream over so many bytes, a part of them for each thread: from the cache that holds
/// them, and what no cache holds as MeasureDramRead.
Limit MeasureReadOf(uint64_t bytes, const LimitOptions& options);
/// Int8 multiply-adds of every instruction set that this CPU and system allow.
std::vector<Limit> MeasureIntPeaks(const LimitOptions& options, const LimitProgress& progress = {});
/// All of these, reading from each cache among them. Takes seconds; other work on the machine
/// falsifies it.
MachineLimits MeasureLimits(const LimitOptions& options, const LimitProgress& progress = {});

}  // namespace tern
