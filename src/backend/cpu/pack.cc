#include "backend/cpu/pack.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/math.h"
#include "platform/pages.h"

namespace tern::cpu {
namespace {

constexpr int64_t kPadCols = kStepCols * kStepsPerPad;
constexpr uint32_t kSixteenZeros = 0x55555555;  // code 1, weight 0
constexpr size_t kAlignment = 64;

size_t Index(int64_t i) { return static_cast<size_t>(i); }

// A step of one output: in both forms a word of 4 x 4 codes, inputs in order before, and with the
// two dimensions exchanged after.
constexpr uint32_t Transpose(uint32_t word) {
  const uint32_t far = (word ^ (word >> 12)) & 0x0000f0f0u;
  word ^= far ^ (far << 12);
  const uint32_t near = (word ^ (word >> 6)) & 0x00cc00ccu;
  return word ^ near ^ (near << 6);
}
static_assert(Transpose(0x000000e4) == 0x03020100 && Transpose(0x03020100) == 0x000000e4);

// A matrix without bytes. The sizes may come from a file.
Result<PackedMatrix> Shape(int64_t rows, int64_t cols, int64_t group) {
  constexpr int64_t kMost = int64_t{1} << 31;
  if (rows <= 0 || cols <= 0 || group <= 0 || rows > kMost || cols > kMost || cols % group != 0)
    return Fail(Code::kCorrupt, "a matrix of {} x {} values with scales over {}", rows, cols,
                group);
  if (group != cols && group % kPadCols != 0)
    return Fail(Code::kUnsupported, "scales over groups of {} inputs, expected a multiple of {}",
                group, kPadCols);
  PackedMatrix packed;
  packed.rows = rows;
  packed.cols = cols;
  packed.group = group;
  packed.groups = cols / group;
  packed.steps = (cols + kPadCols - 1) / kPadCols * kStepsPerPad;
  return packed;
}

size_t CodeBytes(const PackedMatrix& m) { return Index(m.tiles() * m.steps * kStepBytes); }
size_t BlobBytes(const PackedMatrix& m) {
  return CodeBytes(m) + Index(m.tiles() * m.groups * kTileRows) * sizeof(float);
}

void SetBlob(PackedMatrix& m, std::span<const std::byte> blob, std::shared_ptr<const void> owner) {
  const size_t code_bytes = CodeBytes(m);
  m.blob = blob;
  m.codes = {reinterpret_cast<const uint8_t*>(blob.data()), code_bytes};
  m.scales = {reinterpret_cast<const float*>(blob.data() + code_bytes),
              (blob.size() - code_bytes) / sizeof(float)};
  m.owner = std::move(owner);
}

// Codes of one output, or zeros for an output that only fills the tile.
void PackLane(const TernaryMatrix& matrix, int64_t row, int64_t steps, std::byte* to) {
  int64_t s = 0;
  if (row < matrix.rows()) {
    const std::span<const uint8_t> codes = matrix.RowCodes(row);
    const auto whole = static_cast<int64_t>(codes.size() / sizeof(uint32_t));
    for (; s < whole; ++s)
      StoreLe(to + s * kStepBytes, Transpose(LoadLe<uint32_t>(codes.data() + s * 4)));
    if (const size_t rest = codes.size() % sizeof(uint32_t); rest != 0) {
      uint32_t word = kSixteenZeros;
      std::memcpy(&word, codes.data() + s * 4, rest);
      StoreLe(to + s++ * kStepBytes, Transpose(word));
    }
  }
  for (; s < steps; ++s) StoreLe(to + s * kStepBytes, kSixteenZeros);
}

void PackTile(const TernaryMatrix& matrix, const PackedMatrix& shape, int64_t tile,
              std::byte* codes, float* scales) {
  std::byte* to = codes + tile * shape.steps * kStepBytes;
  for (int64_t lane = 0; lane < kTileRows; ++lane) {
    const int64_t row = tile * kTileRows + lane;
    PackLane(matrix, row, shape.steps, to + lane * 4);
    for (int64_t g = 0; g < shape.groups; ++g)
      scales[(tile * shape.groups + g) * kTileRows + lane] =
          row < shape.rows ? matrix.ScaleAt(row, g * shape.group) : 0.0f;
  }
}

}  // namespace

Result<PackedMatrix> PackN16k4(const TernaryMatrix& matrix, ThreadPool* pool) {
  const ScaleSpec& scale = matrix.scale();
  const int64_t group = scale.kind == ScaleKind::kGroup ? scale.group : matrix.cols();
  TERN_ASSIGN_OR_RETURN(PackedMatrix packed, Shape(matrix.rows(), matrix.cols(), group));
  const size_t bytes = BlobBytes(packed);
  const std::shared_ptr<std::byte> memory = AllocatePages(bytes);
  if (!memory) return Fail(Code::kResourceExhausted, "cannot allocate {} bytes", bytes);
  auto* scales = reinterpret_cast<float*>(memory.get() + CodeBytes(packed));
  const auto pack = [&](size_t begin, size_t end) {
    for (auto tile = static_cast<int64_t>(begin); tile < static_cast<int64_t>(end); ++tile)
      PackTile(matrix, packed, tile, memory.get(), scales);
  };
  if (pool)
    pool->ParallelFor(Index(packed.tiles()), 1, pack);
  else
    pack(0, Index(packed.tiles()));
  SetBlob(packed, {memory.get(), bytes}, memory);
  return packed;
}

Result<PackedMatrix> FromBlob(int64_t rows, int64_t cols, int64_t group,
                              std::span<const std::byte> blob, std::shared_ptr<const void> owner) {
  TERN_ASSIGN_OR_RETURN(PackedMatrix packed, Shape(rows, cols, group));
  if (blob.size() != BlobBytes(packed))
    return Fail(Code::kCorrupt, "found {} bytes, expected {} for {} x {} values", blob.size(),
                BlobBytes(packed), rows, cols);
  if (reinterpret_cast<uintptr_t>(blob.data()) % kAlignment != 0)
    return Fail(Code::kCorrupt, "packed weights are not aligned to {} bytes", kAlignment);
  SetBlob(packed, blob, std::move(owner));
  return packed;
}

Result<PackedMatrix> Copy(const PackedMatrix& matrix, ThreadPool& pool) {
  const std::shared_ptr<std::byte> memory = AllocatePages(matrix.blob.size());
  if (!memory)
    return Fail(Code::kResourceExhausted, "cannot allocate {} bytes", matrix.blob.size());
  const size_t tile_bytes = Index(matrix.steps * kStepBytes);
  pool.ParallelFor(Index(matrix.tiles()), 1, [&](size_t begin, size_t end) {
    std::memcpy(memory.get() + begin * tile_bytes, matrix.codes.data() + begin * tile_bytes,
                (end - begin) * tile_bytes);
  });
  std::memcpy(memory.get() + matrix.codes.size(), matrix.scales.data(), matrix.scales.size_bytes());
  PackedMatrix copy = matrix;
  SetBlob(copy, {memory.get(), matrix.blob.size()}, memory);
  return copy;
}

void UnpackRow(const PackedMatrix& matrix, int64_t row, int8_t* out) {
  const uint8_t* codes =
      matrix.codes.data() + row / kTileRows * matrix.steps * kStepBytes + row % kTileRows * 4;
  for (int64_t c = 0; c < matrix.cols; ++c) {
    const int64_t in_step = c % kStepCols;
    const unsigned byte = codes[c / kStepCols * kStepBytes + in_step % 4];
    out[c] = static_cast<int8_t>(static_cast<int>((byte >> (2 * (in_step / 4))) & 3u) - 1);
  }
}

}  // namespace tern::cpu
