// The tiers of the memory pool beside malloc and, where it is installed, mimalloc. Each iteration
// replaces a random one of many live blocks and writes to each page of the new one, as a buffer in
// use would; items are such replacements.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <vector>

#include "base/rng.h"
#include "memory/memory_pool.h"

#ifdef TERN_WITH_MIMALLOC
#include <mimalloc.h>
#endif

namespace tern {
namespace {

struct Own {
  MemoryPool pool{MemoryPool::Sources{TierSource::kPool, TierSource::kPool}};
  void* Take(size_t bytes) { return pool.Take(bytes); }
  void Give(void* block, size_t bytes) { pool.Give(block, bytes); }
};

struct Malloc {
  void* Take(size_t bytes) { return std::aligned_alloc(64, (bytes + 63) / 64 * 64); }
  void Give(void* block, size_t /*bytes*/) { std::free(block); }
};

#ifdef TERN_WITH_MIMALLOC
struct Mimalloc {
  void* Take(size_t bytes) { return mi_malloc_aligned(bytes, 64); }
  void Give(void* block, size_t /*bytes*/) { mi_free(block); }
};
#endif

/// Sizes from `from` to twice that, `blocks` of them live.
template <class Allocator>
void Replace(benchmark::State& state) {
  Allocator allocator;
  const auto from = static_cast<size_t>(state.range(0));
  const auto blocks = static_cast<size_t>(state.range(1));
  Rng rng(1);
  std::vector<std::pair<std::byte*, size_t>> live(blocks);
  const auto take = [&](std::pair<std::byte*, size_t>& slot) {
    slot.second = from + rng.Next() % from;
    slot.first = static_cast<std::byte*>(allocator.Take(slot.second));
    for (size_t at = 0; at < slot.second; at += 4096) slot.first[at] = std::byte{1};
  };
  for (auto& slot : live) take(slot);
  for (auto _ : state) {
    auto& slot = live[rng.Next() % blocks];
    allocator.Give(slot.first, slot.second);
    take(slot);
    benchmark::DoNotOptimize(slot.first);
  }
  state.SetItemsProcessed(state.iterations());
  for (auto& [at, bytes] : live) allocator.Give(at, bytes);
}

void Sizes(benchmark::internal::Benchmark* benchmark) {
  for (const auto& [from, blocks] : {std::pair{64, 4096},
                                     {1024, 4096},
                                     {8 << 10, 512},
                                     {64 << 10, 128},
                                     {400 << 10, 32},
                                     {4 << 20, 8}})
    benchmark->Args({from, blocks});
}

BENCHMARK(Replace<Own>)->Apply(Sizes);
BENCHMARK(Replace<Malloc>)->Apply(Sizes);
#ifdef TERN_WITH_MIMALLOC
BENCHMARK(Replace<Mimalloc>)->Apply(Sizes);
#endif

}  // namespace
}  // namespace tern
