// Plain C++: what every machine can do, and the slowest correct row of the list.
#pragma once

#include "backend/cpu/kernel_contract.h"

namespace tern::cpu {
namespace {

struct Scalar {
  struct Vec {
    uint8_t bytes[4];
  };
  using Partial = int32_t;  // one output
  static constexpr int kBytes = 4, kVecs = 16;
  static constexpr bool kFolds = false;
  static constexpr int64_t kFoldEvery = int64_t{1} << 40;
  static constexpr int kMostRows = 1;
  static constexpr int Tiles(int) { return 1; }
  static constexpr int Sets(int) { return 1; }

  static Vec Load(const uint8_t* p) { return {{p[0], p[1], p[2], p[3]}}; }
  static Vec Plane(Vec packed, int p) {
    for (uint8_t& b : packed.bytes) b = static_cast<uint8_t>((b >> (2 * p)) & 3);
    return packed;
  }
  static constexpr bool kPlanesInPlace = false;
  static Vec PlaneInPlace(Vec packed, int p) { return Plane(packed, p); }
  static Partial Descale(Partial sum, int) { return sum; }
  static Vec Broadcast(const int8_t* x) {
    return {{static_cast<uint8_t>(x[0]), static_cast<uint8_t>(x[1]), static_cast<uint8_t>(x[2]),
             static_cast<uint8_t>(x[3])}};
  }
  static Partial Clear() { return 0; }
  static Partial Plus(Partial a, Partial b) { return a + b; }
  static Partial Mac(Partial sum, Vec code, Vec act) {
    for (int j = 0; j < 4; ++j) sum += code.bytes[j] * static_cast<int8_t>(act.bytes[j]);
    return sum;
  }
  static void Fold(Partial part, int32_t* sums) { *sums = part; }
};

}  // namespace
}  // namespace tern::cpu
