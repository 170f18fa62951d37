// What an engine has done and is doing. How long it took is in its PerformanceMonitor.
#pragma once

#include <cstdint>

namespace tern {

struct EngineStats {
  // Now. Sequences: an answer is one, and so is the input of an embedding.
  int64_t running = 0;  // in the batch
  int64_t waiting = 0;  // for a place in it
  int64_t paused = 0;   // requests whose reader is behind
  int64_t kv_blocks = 0, kv_blocks_used = 0, kv_blocks_cached = 0;
  int64_t swap_slots = 0, swap_slots_used = 0;  // for blocks on the host
  int64_t last_batch_rows = 0;
  // Since the start.
  uint64_t requests = 0;                             // accepted; each ends in one of the next three
  uint64_t finished = 0, cancelled = 0, failed = 0;  // cancelled: late ones and slow readers too
  uint64_t refused = 0;
  uint64_t preempted = 0;       // sequences that lost their blocks
  uint64_t swapped_blocks = 0;  // of them, kept on the host
  uint64_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
  uint64_t drafted_tokens = 0, accepted_tokens = 0;
  uint64_t steps = 0;                          // forward passes
  double busy_seconds = 0;                     // of them
  double prompt_rate = 0, generated_rate = 0;  // tokens per second, over the last second or so
};

}  // namespace tern
