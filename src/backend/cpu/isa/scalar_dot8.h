// Plain C++ for the int8 head.
#pragma once

#include "backend/cpu/logits_contract.h"

namespace tern::cpu {
namespace {

struct ScalarDot8 {
  struct Weights {
    uint8_t bytes[4];
  };
  struct Inputs {
    int8_t bytes[4];
  };
  using Sum = uint32_t;  // one output
  static constexpr int kVecs = 16;
  static constexpr int32_t kOffset = kWeightOffset;
  static constexpr int kFewRows = 1, kFewTiles = 1;
  static constexpr int kManyRows = 2, kManyTiles = 1;

  static Weights Load(const uint8_t* p) { return {{p[0], p[1], p[2], p[3]}}; }
  static Inputs Broadcast(const int8_t* x) { return {{x[0], x[1], x[2], x[3]}}; }
  static Sum Clear() { return 0; }
  static Sum Mac(Sum sum, Weights w, Inputs x) {
    for (int j = 0; j < 4; ++j) sum += static_cast<uint32_t>(w.bytes[j] * x.bytes[j]);
    return sum;
  }
  static void Store(Sum sum, uint32_t* to) { *to = sum; }
};

}  // namespace
}  // namespace tern::cpu
