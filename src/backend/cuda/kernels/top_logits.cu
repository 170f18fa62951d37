// The best tokens of each row, in two kernels: the best k of each slice of a row, then the best k
// of those. A logit and its id make one key, so that larger is better and no two are equal.
#include <algorithm>

#include "backend/cuda/kernels/head.h"
#include "backend/cuda/kernels/ptx.cuh"

namespace tern::cuda {
namespace {

using Key = unsigned long long;

constexpr int kThreads = 256;
constexpr int kPerThread = 16;                      // logits that a thread holds
constexpr int kSlice = kThreads * kPerThread;       // at most, in a slice
constexpr int kLanesPerGroup = 4;                   // threads whose best key is one vote
constexpr int kGroups = kThreads / kLanesPerGroup;  // at least kMaxTop
constexpr int kCandidates = 1024;

static_assert(kGroups >= kMaxTop);

/// 0 for NaN, otherwise larger for larger floats, the same for both zeros.
__device__ __forceinline__ uint32_t Ordered(float value) {
  const uint32_t bits = __float_as_uint(value + 0.0f);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0;
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

__device__ __forceinline__ float FromOrdered(uint32_t ordered) {
  return __uint_as_float((ordered & 0x80000000u) != 0 ? ordered & 0x7fffffffu : ~ordered);
}

/// 0 is nothing.
__device__ __forceinline__ Key MakeKey(uint32_t ordered, int id) {
  return ordered == 0 ? 0 : static_cast<Key>(ordered) << 32 | ~static_cast<uint32_t>(id);
}

template <int kLanes>
__device__ __forceinline__ Key LanesMax(Key key) {
#pragma unroll
  for (int offset = kLanes / 2; offset > 0; offset /= 2)
    key = max(key, __shfl_xor_sync(~0u, key, offset));
  return key;
}

__device__ Key BlockMax(Key key, Key* parts) {
  key = LanesMax<32>(key);
  __syncthreads();
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = key;
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kThreads / 32; ++i) key = max(key, parts[i]);
  return key;
}

struct Shared {
  Key candidates[kCandidates];
  Key groups[kGroups];
  Key parts[kThreads / 32];
  Key least;
  int count;
};

/// out[0..k) = the largest keys that for_each(f) calls f with, in falling order; zeros when there
/// are fewer; `best` is the largest of this thread's. The k-th best of the groups' best keys bounds
/// the k-th best key from below; what reaches the bound is few, and a key's rank among those is its
/// place. Should it be many after all (the best keys of a slice all in few groups), the best is
/// taken k times.
template <class ForEach, class Out>
__device__ void SelectTop(int k, Key best, const ForEach& for_each, const Out& out,
                          Shared& shared) {
  const int thread = static_cast<int>(threadIdx.x);
  if (k == 1) {
    best = BlockMax(best, shared.parts);
    if (thread == 0) out(0, best);
    return;
  }
  best = LanesMax<kLanesPerGroup>(best);
  if (thread % kLanesPerGroup == 0) shared.groups[thread / kLanesPerGroup] = best;
  if (thread == 0) {
    shared.count = 0;
    shared.least = 1;
  }
  __syncthreads();
  int rank = 0;
  for (int i = thread % kLanesPerGroup; i < kGroups; i += kLanesPerGroup)
    rank += shared.groups[i] > best ? 1 : 0;
#pragma unroll
  for (int offset = kLanesPerGroup / 2; offset > 0; offset /= 2)
    rank += __shfl_xor_sync(~0u, rank, offset);
  if (rank == k - 1 && best != 0 && thread % kLanesPerGroup == 0) shared.least = best;
  __syncthreads();
  const Key least = shared.least;
  for_each([&](Key key) {
    if (key < least) return;
    const int at = atomicAdd(&shared.count, 1);
    if (at < kCandidates) shared.candidates[at] = key;
  });
  __syncthreads();
  const int count = shared.count;
  if (count <= kCandidates) {
    for (int i = thread; i < count; i += kThreads) {
      const Key key = shared.candidates[i];
      int place = 0;
      for (int j = 0; j < count; ++j) place += shared.candidates[j] > key ? 1 : 0;
      if (place < k) out(place, key);
    }
    for (int i = count + thread; i < k; i += kThreads) out(i, 0);
    return;
  }
  Key last = ~Key{0};
  for (int i = 0; i < k; ++i) {
    best = 0;
    for_each([&](Key key) {
      if (key < last) best = max(best, key);
    });
    last = BlockMax(best, shared.parts);
    if (thread == 0) out(i, last);
  }
}

/// Slice blockIdx.x of row blockIdx.y -> its best k keys, (k, slices) for each row: what the next
/// kernel's threads get first are best keys all, so that they bound the rest well. kVector: rows start at 16-byte borders.
template <bool kVector>
__global__ void __launch_bounds__(kThreads, 5)
    SliceKernel(const float* logits, int64_t stride, int vocab, int slice, int k, Key* keys) {
  __shared__ Shared shared;
  ReleaseSuccessor();
  WaitForPredecessor();
  const float* row = logits + blockIdx.y * stride;
  const int first = static_cast<int>(blockIdx.x) * slice;
  const int end = min(vocab, first + slice);
  const auto id_of = [&](int i) {
    return first + (i / 4 * kThreads + static_cast<int>(threadIdx.x)) * 4 + i % 4;
  };
  const float nan = __int_as_float(0x7fffffff);
  float loaded[kPerThread];
#pragma unroll
  for (int i = 0; i < kPerThread; i += 4) {
    float4 v = {nan, nan, nan, nan};
    if (kVector && id_of(i + 3) < end) {
      v = *reinterpret_cast<const float4*>(row + id_of(i));
    } else if (id_of(i) < end) {
      v.x = row[id_of(i)];
      if (id_of(i + 1) < end) v.y = row[id_of(i + 1)];
      if (id_of(i + 2) < end) v.z = row[id_of(i + 2)];
      if (id_of(i + 3) < end) v.w = row[id_of(i + 3)];
    }
    *reinterpret_cast<float4*>(loaded + i) = v;
  }
  uint32_t values[kPerThread];
  uint32_t largest = 0;
  int id = 0;
#pragma unroll
  for (int i = 0; i < kPerThread; ++i) {
    values[i] = Ordered(loaded[i]);
    if (values[i] > largest) id = id_of(i);
    largest = max(largest, values[i]);
  }
  const auto slices = static_cast<int>(gridDim.x);
  Key* to = keys + blockIdx.y * static_cast<int64_t>(slices) * k + blockIdx.x;
  SelectTop(
      k, MakeKey(largest, id),
      [&](const auto& f) {
#pragma unroll
        for (int i = 0; i < kPerThread; ++i) f(MakeKey(values[i], id_of(i)));
      },
      [&](int i, Key key) { to[i * slices] = key; }, shared);
}

/// The best k of each row's keys. Places that no logit is left for get -infinity and id -1.
__global__ void __launch_bounds__(kThreads)
    MergeKernel(const Key* keys, int count, int k, float* values, int32_t* ids) {
  __shared__ Shared shared;
  ReleaseSuccessor();
  WaitForPredecessor();
  const Key* row = keys + blockIdx.x * static_cast<int64_t>(count);
  const int64_t to = static_cast<int64_t>(blockIdx.x) * k;
  Key best = 0;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) best = max(best, row[i]);
  SelectTop(
      k, best,
      [&](const auto& f) {
        for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) f(row[i]);
      },
      [&](int i, Key key) {
        values[to + i] = key == 0 ? __int_as_float(static_cast<int>(0xff800000u))
                                  : FromOrdered(static_cast<uint32_t>(key >> 32));
        ids[to + i] = key == 0 ? -1 : static_cast<int32_t>(~static_cast<uint32_t>(key));
      },
      shared);
}

/// Logits in a slice, a multiple of 4: small while rows are few, so that every multiprocessor has a
/// part.
int SliceSize(int m, int vocab) {
  constexpr int kSmallest = 2048;
  constexpr int kEnough = 528;  // CTAs: four for each multiprocessor of a large GPU
  const int64_t even = static_cast<int64_t>(vocab) * std::max(m, 1) / kEnough;
  return static_cast<int>(std::clamp<int64_t>((even + 3) / 4 * 4, kSmallest, kSlice));
}

int Slices(int m, int vocab) {
  const int slice = SliceSize(m, vocab);
  return (vocab + slice - 1) / slice;
}

}  // namespace

size_t TopScratchBytes(int m, int vocab, int k) {
  return static_cast<size_t>(m) * static_cast<size_t>(Slices(m, vocab)) * static_cast<size_t>(k) *
         sizeof(Key);
}

void TopLogits(const float* logits, int64_t stride, int m, int vocab, int k, float* values,
               int32_t* ids, void* scratch, const Launch& launch) {
  if (m <= 0 || vocab <= 0 || k <= 0) return;
  const bool aligned = stride % 4 == 0 && reinterpret_cast<uintptr_t>(logits) % 16 == 0;
  const int slices = Slices(m, vocab);
  auto* keys = static_cast<Key*>(scratch);
  Start(launch, aligned ? &SliceKernel<true> : &SliceKernel<false>, dim3(slices, m), kThreads, 0,
        logits, stride, vocab, SliceSize(m, vocab), k, keys);
  Start(launch, &MergeKernel, m, kThreads, 0, keys, slices * k, k, values, ids);
}

}  // namespace tern::cuda
