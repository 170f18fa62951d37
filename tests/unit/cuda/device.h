// Memory of a GPU for tests of kernels.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstring>
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

/// A copy of `values` on the device, with guards before and behind that may not change.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(const std::vector<T>& values) : size_(values.size()) {
    const size_t bytes = size_ * sizeof(T);
    EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&memory_), bytes + 2 * kGuard), cudaSuccess);
    EXPECT_EQ(cudaMemset(memory_, kPattern, bytes + 2 * kGuard), cudaSuccess);
    if (bytes > 0) {
      EXPECT_EQ(cudaMemcpy(data(), values.data(), bytes, cudaMemcpyHostToDevice), cudaSuccess);
    }
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() {
    std::vector<unsigned char> guard(kGuard);
    for (const size_t at : {size_t{0}, kGuard + size_ * sizeof(T)}) {
      EXPECT_EQ(cudaMemcpy(guard.data(), memory_ + at, kGuard, cudaMemcpyDeviceToHost), cudaSuccess);
      for (const unsigned char byte : guard) EXPECT_EQ(byte, kPattern);
    }
    (void)cudaFree(memory_);
  }

  T* data() const { return reinterpret_cast<T*>(memory_ + kGuard); }
  std::vector<T> Read() const {
    std::vector<T> values(size_);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(values.data(), data(), size_ * sizeof(T), cudaMemcpyDeviceToHost),
              cudaSuccess);
    return values;
  }

 private:
  static constexpr size_t kGuard = 512;
  static constexpr int kPattern = 0x5a;
  size_t size_;
  unsigned char* memory_ = nullptr;
};

}  // namespace tern::test
