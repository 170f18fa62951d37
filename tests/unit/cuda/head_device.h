// Device memory for tests of the table kernels: poisoned, with a guard behind it.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "backend/cuda/kernels/head.h"

namespace tern::cuda {

/// A launch for the device at hand.
inline Launch TestLaunch() {
  Launch launch;
  int major = 0;
  int minor = 0;
  (void)cudaDeviceGetAttribute(&launch.multiprocessors, cudaDevAttrMultiProcessorCount, 0);
  (void)cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0);
  (void)cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0);
  launch.compute = major * 10 + minor;
  launch.dependent = true;
  return launch;
}

inline bool HasDevice() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

template <class T>
class DeviceArray {
 public:
  /// Bytes of 0xa5: no number of a test.
  explicit DeviceArray(size_t size) : size_(size) {
    EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&data_), bytes() + kGuard), cudaSuccess);
    EXPECT_EQ(cudaMemset(data_, 0xa5, bytes() + kGuard), cudaSuccess);
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    EXPECT_EQ(cudaMemcpy(data_, values.data(), bytes(), cudaMemcpyHostToDevice), cudaSuccess);
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() {
    std::vector<uint8_t> guard(kGuard);
    EXPECT_EQ(cudaMemcpy(guard.data(), reinterpret_cast<uint8_t*>(data_) + bytes(), kGuard,
                         cudaMemcpyDeviceToHost),
              cudaSuccess);
    EXPECT_TRUE(std::ranges::all_of(guard, [](uint8_t b) { return b == 0xa5; }));
    (void)cudaFree(data_);
  }

  T* get() const { return data_; }
  size_t bytes() const { return size_ * sizeof(T); }
  void Zero() { EXPECT_EQ(cudaMemset(data_, 0, bytes()), cudaSuccess); }
  void Poison() { EXPECT_EQ(cudaMemset(data_, 0xa5, bytes()), cudaSuccess); }
  std::vector<T> Read() const {
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    std::vector<T> values(size_);
    EXPECT_EQ(cudaMemcpy(values.data(), data_, bytes(), cudaMemcpyDeviceToHost), cudaSuccess);
    return values;
  }

 private:
  static constexpr size_t kGuard = 4096;
  size_t size_ = 0;
  T* data_ = nullptr;
};

/// A packed matrix and the memory it lies in.
struct PackedArray {
  TiledMatrix matrix;
  DeviceArray<uint8_t> tiles;

  /// Packs `row_major` in pieces of at most `piece` rows, a multiple of 16.
  PackedArray(TileType type, int rows, int cols, const std::vector<uint8_t>& row_major, int piece)
      : matrix(TiledShape(type, rows, cols)), tiles(matrix.bytes()) {
    tiles.Zero();
    matrix.tiles = tiles.get();
    const DeviceArray<uint8_t> source(row_major);
    const size_t row_bytes = row_major.size() / static_cast<size_t>(rows);
    for (int first = 0; first < rows; first += piece)
      PackTiles(source.get() + static_cast<size_t>(first) * row_bytes, first,
                std::min(piece, rows - first), matrix, TestLaunch());
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  }
};

}  // namespace tern::cuda
