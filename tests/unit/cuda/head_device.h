// What tests of the table kernels share.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "backend/cuda/kernels/head.h"
#include "unit/cuda/device.h"

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

using test::DeviceArray;

/// A packed matrix and the memory it lies in.
struct PackedArray {
  TiledMatrix matrix;
  DeviceArray<uint8_t> tiles;

  /// Packs `row_major` in pieces of at most `piece` rows, a multiple of 16.
  PackedArray(TileType type, int rows, int cols, const std::vector<uint8_t>& row_major, int piece)
      : matrix(TiledShape(type, rows, cols)), tiles(matrix.bytes()) {
    tiles.Zero();
    matrix.tiles = tiles.data();
    const DeviceArray<uint8_t> source(row_major);
    const size_t row_bytes = row_major.size() / static_cast<size_t>(rows);
    for (int first = 0; first < rows; first += piece)
      PackTiles(source.data() + static_cast<size_t>(first) * row_bytes, first,
                std::min(piece, rows - first), matrix, TestLaunch());
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  }
};

}  // namespace tern::cuda
