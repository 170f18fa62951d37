// AMX tile configuration, shared by the kernels that use tiles. Include it only from
// targets/amx.cc.
#pragma once

#include <immintrin.h>
#include <stdint.h>

namespace tern::cpu {
namespace {

constexpr int64_t kPairRows = 32;  // two tiles of rows

struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// GCC 12's intrinsics don't tell the compiler that they read memory: without this, it may leave out
// stores that only a tile load would see.
[[gnu::always_inline]] inline void StoresBeforeTiles() { __asm__ volatile("" ::: "memory"); }

// Tiles of 64 bytes a row: 0 and 1 (sums) and 4 (left operand) hold the first 16 of `rows` rows; 2,
// 3 and 5 the same of the next 16; 6 and 7 (right operand) are whole.
inline void ConfigureTiles(int64_t rows) {
  TileConfig config;
  __asm__ volatile("" : : "r"(&config));
  const auto first = static_cast<uint8_t>(rows < 16 ? rows : 16);
  const auto second = static_cast<uint8_t>(rows > 16 && rows < 32 ? rows - 16 : 16);
  config.rows[0] = config.rows[1] = config.rows[4] = first;
  config.rows[2] = config.rows[3] = config.rows[5] = second;
  StoresBeforeTiles();
  _tile_loadconfig(&config);
}

}  // namespace
}  // namespace tern::cpu
