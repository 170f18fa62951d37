// Every kernel of the output head that this CPU can run, one thread, on tables larger than its
// caches; a part of the result is checked before it is timed. GB/s counts the table's bytes once;
// "stream" reads as many with nothing else to do, and is what a head can reach for few rows of x.
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>
#include <vector>

#include "backend/cpu/logits_list.h"
#include "base/math.h"
#include "base/rng.h"
#include "tensor/dense_matrix.h"

namespace tern::cpu {
namespace {

constexpr int64_t kCols = 2560, kMaxM = 64;
constexpr size_t kTableBytes = size_t{96} << 20;
struct alignas(64) Line {
  uint8_t bytes[64];
};

struct Format {
  const char* name;
  RowFormat format;
  DType type;
  size_t scale_byte;  // of a block: the high one of a binary16 that must be a number
};
constexpr Format kFormats[] = {
    {"f16", RowFormat::kF16, DType::kF16, 1},    {"bf16", RowFormat::kBF16, DType::kBF16, 1},
    {"q8_0", RowFormat::kQ8_0, DType::kQ8_0, 1}, {"q4_0", RowFormat::kQ4_0, DType::kQ4_0, 1},
    {"q4_k", RowFormat::kQ4_K, DType::kQ4_K, 1}, {"q6_k", RowFormat::kQ6_K, DType::kQ6_K, 209}};

// Random bytes, the same 4099 over and over; shared by all benchmarks, which take it in turn.
uint8_t* Memory() {
  static std::vector<Line> memory(kTableBytes / sizeof(Line));
  return memory.data()->bytes;
}
void FillMemory() {
  uint8_t pattern[4099];
  Rng rng(1);
  for (uint8_t& b : pattern) b = static_cast<uint8_t>(rng.Next());
  for (size_t at = 0; at < kTableBytes; at += sizeof pattern)
    std::memcpy(Memory() + at, pattern, std::min(sizeof pattern, kTableBytes - at));
}

std::vector<float> Inputs() {
  Rng rng(2);
  std::vector<float> x(kMaxM * kCols);
  for (float& v : x) v = static_cast<float>(rng.NextUnit() * 2 - 1);
  return x;
}

void Report(benchmark::State& state, int64_t bytes, int64_t multiplies) {
  const auto rounds = static_cast<double>(state.iterations());
  using benchmark::Counter;
  state.counters["GB/s"] = Counter(rounds * 1e-9 * static_cast<double>(bytes), Counter::kIsRate);
  state.counters["GOPS"] =
      Counter(rounds * 2e-9 * static_cast<double>(multiplies), Counter::kIsRate);
}

void Stream(benchmark::State& state) {
  FillMemory();
  using Words = uint64_t __attribute__((vector_size(16)));
  const auto* words = reinterpret_cast<const Words*>(Memory());
  for (auto _ : state) {
    Words a = {}, b = {}, c = {}, d = {};
    for (size_t i = 0; i < kTableBytes / sizeof(Words); i += 4) {
      a += words[i];
      b += words[i + 1];
      c += words[i + 2];
      d += words[i + 3];
    }
    a += b + c + d;
    benchmark::DoNotOptimize(a);
  }
  Report(state, kTableBytes, 0);
}

void Rows(benchmark::State& state, const LogitsTarget* target, const Format* format) {
  FillMemory();
  const int64_t m = state.range(0);
  const auto row_bytes = static_cast<int64_t>(RowBytes(format->type, kCols).value());
  const int64_t rows = static_cast<int64_t>(kTableBytes) / row_bytes;
  const auto block = static_cast<size_t>(Info(format->type).block_bytes);
  for (size_t at = 0; at + block <= kTableBytes; at += block) {
    Memory()[at + format->scale_byte] &= 0xbb;
    if (format->type == DType::kQ4_K) Memory()[at + 3] &= 0xbb;
    if (format->type == DType::kBF16) Memory()[at + 1] |= 0x3b;  // no denormal products
  }
  const std::vector<float> x = Inputs();
  std::vector<float> y(static_cast<size_t>(rows * m)), row(kCols);
  LogitsArgs args = {};
  args.table = Memory();
  args.row_bytes = row_bytes;
  args.x = x.data();
  args.y = y.data();
  args.x_stride = kCols;
  args.y_stride = rows;
  args.m = m;
  args.k = kCols;
  args.end = rows;
  const LogitsFunction run = target->ops->of[static_cast<size_t>(format->format)];
  run(args);
  for (int64_t n = 0; n < rows; n += 997) {
    DecodeRow(format->type, reinterpret_cast<const std::byte*>(Memory()) + n * row_bytes, row);
    for (int64_t i = 0; i < m; ++i)
      if (y[static_cast<size_t>(i * rows + n)] != Dot(x.data() + i * kCols, row.data(), kCols))
        return state.SkipWithError("the result differs from the decoded row's");
  }
  for (auto _ : state) run(args);
  Report(state, rows * row_bytes, rows * kCols * m);
}

void Int8(benchmark::State& state, const Int8LogitsKernel* kernel) {
  FillMemory();
  const int64_t m = state.range(0), tile_bytes = kCols * kHeadTileRows;
  const int64_t tiles = static_cast<int64_t>(kTableBytes) / tile_bytes, n = tiles * kHeadTileRows;
  std::vector<int8_t> x(static_cast<size_t>(m * kCols));
  Rng rng(3);
  for (int8_t& v : x) v = static_cast<int8_t>(rng.Next());
  std::vector<int32_t> sums(static_cast<size_t>(m), 0);
  for (size_t i = 0; i < x.size(); ++i) sums[i / kCols] += x[i];
  const std::vector<float> scales(static_cast<size_t>(n), 0.5f), step(static_cast<size_t>(m), 1.0f);
  std::vector<float> y(static_cast<size_t>(n * m));
  Int8LogitsArgs args = {.codes = Memory(),
                         .scales = scales.data(),
                         .x = x.data(),
                         .step = step.data(),
                         .sums = sums.data(),
                         .y = y.data(),
                         .x_stride = kCols,
                         .y_stride = n,
                         .m = m,
                         .n = n,
                         .planes = kCols / kPlaneCols,
                         .tile_begin = 0,
                         .tile_end = 8};
  std::vector<float> want = y;
  args.y = want.data();
  AllInt8LogitsKernels().back().run(args);
  args.y = y.data();
  kernel->run(args);
  if (y != want) return state.SkipWithError("the result differs from the scalar kernel's");
  args.tile_end = tiles;
  for (auto _ : state) kernel->run(args);
  Report(state, tiles * tile_bytes, n * kCols * m);
}

const bool kRegistered = [] {
  benchmark::RegisterBenchmark("stream", Stream)->Unit(benchmark::kMillisecond);
  const auto usable = [](CpuFeatures needs) { return (needs & DetectCpu()) == needs; };
  const auto rows = [](benchmark::internal::Benchmark* bench) {
    bench->Unit(benchmark::kMillisecond);
    for (const int64_t m : {1, 2, 4, 8, 16, 32, 64}) bench->Arg(m);
  };
  for (const LogitsTarget& target : AllLogitsTargets()) {
    if (!usable(target.needs)) continue;
    for (const Format& format : kFormats)
      rows(benchmark::RegisterBenchmark(
          fmt::format("logits_{}_f32_rows_{}", format.name, target.isa).c_str(), Rows, &target,
          &format));
  }
  for (const Int8LogitsKernel& kernel : AllInt8LogitsKernels())
    if (usable(kernel.needs))
      rows(benchmark::RegisterBenchmark(std::string(kernel.name).c_str(), Int8, &kernel));
  return true;
}();

}  // namespace
}  // namespace tern::cpu
