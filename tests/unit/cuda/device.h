// Memory of a GPU for tests of kernels.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "backend/cuda/kernels/launch.h"

namespace tern::test {

/// Kernels are tested where there is a GPU, and visibly skipped elsewhere.
class OnDevice : public testing::Test {
 protected:
  void SetUp() override {
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) GTEST_SKIP() << "no CUDA device";
    cudaDeviceProp props = {};
    ASSERT_EQ(cudaGetDeviceProperties(&props, 0), cudaSuccess);
    launch.multiprocessors = props.multiProcessorCount;
    launch.compute = props.major * 10 + props.minor;
  }
  void TearDown() override {
    if (IsSkipped()) return;
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  }

  cuda::Launch launch;
};

/// Memory of the device, poisoned, with guards before and behind that may not change.
template <class T>
class DeviceArray {
 public:
  /// Of bytes that are no number of a test.
  explicit DeviceArray(size_t size) : size_(size) {
    EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&memory_), bytes() + 2 * kGuard), cudaSuccess);
    EXPECT_EQ(cudaMemset(memory_, kPattern, bytes() + 2 * kGuard), cudaSuccess);
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    if (values.empty()) return;
    EXPECT_EQ(cudaMemcpy(data(), values.data(), bytes(), cudaMemcpyHostToDevice), cudaSuccess);
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() {
    std::vector<unsigned char> guard(kGuard);
    for (const size_t at : {size_t{0}, kGuard + bytes()}) {
      EXPECT_EQ(cudaMemcpy(guard.data(), memory_ + at, kGuard, cudaMemcpyDeviceToHost),
                cudaSuccess);
      EXPECT_TRUE(std::ranges::all_of(guard, [](unsigned char b) { return b == kPattern; }));
    }
    (void)cudaFree(memory_);
  }

  T* data() const { return reinterpret_cast<T*>(memory_ + kGuard); }
  size_t bytes() const { return size_ * sizeof(T); }
  void Zero() { EXPECT_EQ(cudaMemset(data(), 0, bytes()), cudaSuccess); }
  void Poison() { EXPECT_EQ(cudaMemset(data(), kPattern, bytes()), cudaSuccess); }
  std::vector<T> Read() const {
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    std::vector<T> values(size_);
    EXPECT_EQ(cudaMemcpy(values.data(), data(), bytes(), cudaMemcpyDeviceToHost), cudaSuccess);
    return values;
  }

 private:
  static constexpr size_t kGuard = 4096;
  static constexpr int kPattern = 0xa5;
  size_t size_;
  unsigned char* memory_ = nullptr;
};

}  // namespace tern::test
