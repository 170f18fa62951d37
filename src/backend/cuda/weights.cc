#include "backend/cuda/weights.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "backend/cuda/kernels/norm.h"
#include "base/float16.h"

namespace tern::cuda {
namespace {

size_t Size(int64_t n) { return static_cast<size_t>(n); }

std::span<const std::byte> Bytes(std::span<const float> values) { return std::as_bytes(values); }

// Rows of a table that go to the device at once: a multiple of 16, about 32 MB.
int64_t PieceRows(int64_t row_bytes) {
  return std::max<int64_t>((int64_t{32} << 20) / std::max<int64_t>(row_bytes, 1) / 16, 1) * 16;
}

// The type whose bits the source has already, or the smallest that holds all its values.
struct Storage {
  bool tiled = true;
  TileType type = TileType::kF16;
  bool as_is = false;
};

bool FitsHalf(float x) { return HalfToFloat(FloatToHalf(x)) == x; }
bool FitsBf16(float x) {
  uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof(bits));
  return (bits & 0xffffu) == 0;
}

Storage StorageOf(const TableSource& source) {
  if (const auto* dense = std::get_if<DenseMatrix>(&source)) {
    if (dense->type == DType::kF16) return {true, TileType::kF16, true};
    if (dense->type == DType::kBF16) return {true, TileType::kBf16, true};
  }
  bool half = true, bf16 = true;
  std::vector<float> row(Size(TableCols(source)));
  for (int64_t r = 0; r < TableRows(source) && (half || bf16); ++r) {
    DecodeTableRow(source, r, row);
    half = half && std::all_of(row.begin(), row.end(), FitsHalf);
    bf16 = bf16 && std::all_of(row.begin(), row.end(), FitsBf16);
  }
  return {half || bf16, half ? TileType::kF16 : TileType::kBf16, false};
}

uint16_t ToBits(TileType type, float x) {
  if (type == TileType::kF16) return FloatToHalf(x);
  uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof(bits));
  return static_cast<uint16_t>(bits >> 16);
}

}  // namespace

Result<std::unique_ptr<CudaTernary>> CudaTernary::Create(DeviceContext& context,
                                                         const TernaryMatrix& matrix) {
  auto packed = std::make_unique<CudaTernary>();
  const ScaleSpec& scale = matrix.scale();
  packed->shape_ = TiledShape(TileType::kTernary, matrix.rows(), matrix.cols());
  packed->group_ = scale.kind == ScaleKind::kGroup ? scale.group : matrix.cols();
  std::vector<float> scales = scale.values;
  if (scale.kind == ScaleKind::kTensor) scales.assign(Size(matrix.rows()), scale.values[0]);
  const size_t tile_bytes = packed->shape_.bytes();
  packed->bytes_ = tile_bytes + scales.size() * sizeof(float);
  TERN_ASSIGN_OR_RETURN(packed->memory_, context.Allocate(packed->bytes_));

  const size_t row_bytes = TernaryMatrix::RowBytes(matrix.cols());
  const std::span<const uint8_t> codes(matrix.RowCodes(0).data(), Size(matrix.rows()) * row_bytes);
  TERN_ASSIGN_OR_RETURN(const Buffer staged, context.Allocate(codes.size()));
  TERN_TRY(context.Upload(std::as_bytes(codes), staged.as<void>()));
  PackTiles(staged.as<void>(), 0, packed->shape_.rows, packed->matrix(), context.NewLaunch(false));
  context.NoteLaunch("packing a ternary matrix");
  TERN_TRY(context.Upload(Bytes(scales), packed->memory_.as<std::byte>() + tile_bytes));
  return packed;
}

Status CudaTernary::MoveTo(std::shared_ptr<LayerStream> stream, int64_t layer) {
  TERN_ASSIGN_OR_RETURN(offset_, stream->Keep(layer, memory_));
  memory_ = Buffer();
  stream_ = std::move(stream);
  return {};
}

Result<std::unique_ptr<CudaTable>> CudaTable::Create(DeviceContext& context,
                                                     const TableSource& source, TableForm form) {
  auto table = std::make_unique<CudaTable>();
  const int64_t rows = table->rows_ = TableRows(source), cols = table->cols_ = TableCols(source);
  const bool int8 = form == TableForm::kInt8;
  if (int8) TERN_TRY(CheckInt8Table(source));
  const Storage storage = int8 ? Storage{true, TileType::kInt8, false} : StorageOf(source);
  const auto* dense = std::get_if<DenseMatrix>(&source);

  if (storage.tiled) {
    TiledMatrix& to = table->table_.matrix = TiledShape(storage.type, rows, cols);
    TERN_ASSIGN_OR_RETURN(table->values_, context.Allocate(to.bytes()));
    to.tiles = table->values_.as<void>();
  } else {
    TERN_ASSIGN_OR_RETURN(table->values_, context.Allocate(Size(rows * cols) * sizeof(float)));
    table->table_.floats = table->values_.as<float>();
    table->table_.matrix.rows = static_cast<int>(rows);
    table->table_.matrix.cols = static_cast<int>(cols);
  }
  if (int8) {
    TERN_ASSIGN_OR_RETURN(table->steps_, context.Allocate(Size(rows) * sizeof(float)));
    table->table_.steps = table->steps_.as<float>();
  }

  const int64_t element = storage.tiled && !int8 ? 2 : 4;
  const int64_t piece = std::min(PieceRows(cols * element), rows);
  TERN_ASSIGN_OR_RETURN(const Buffer staged, context.Allocate(Size(piece * cols * element)));
  TERN_ASSIGN_OR_RETURN(const Buffer codes, context.Allocate(int8 ? Size(piece * cols) : 1));
  TERN_ASSIGN_OR_RETURN(const Buffer sums, context.Allocate(Size(piece) * sizeof(int32_t)));
  std::vector<float> values(Size(cols));
  std::vector<std::byte> bytes(storage.as_is ? 0 : Size(piece * cols * element));
  for (int64_t first = 0; first < rows; first += piece) {
    const int64_t count = std::min(piece, rows - first);
    std::span<const std::byte> from(bytes.data(), bytes.size());
    if (storage.as_is) {
      from = {dense->Row(first), Size(count * cols * element)};
    } else {
      for (int64_t r = 0; r < count; ++r) {
        DecodeTableRow(source, first + r, values);
        std::byte* to = bytes.data() + r * cols * element;
        if (element == 4) {
          std::memcpy(to, values.data(), values.size() * sizeof(float));
          continue;
        }
        for (int64_t c = 0; c < cols; ++c) {
          const uint16_t bits = ToBits(storage.type, values[Size(c)]);
          std::memcpy(to + c * 2, &bits, sizeof(bits));
        }
      }
      from = from.first(Size(count * cols * element));
    }
    void* target = storage.tiled ? staged.as<void>()
                                 : static_cast<void*>(table->values_.as<float>() + first * cols);
    TERN_TRY(context.Upload(from, target));
    const void* packed = target;
    const Launch launch = context.NewLaunch(false);
    if (int8) {
      NormQuantize({.x = staged.as<float>(),
                    .x_stride = cols,
                    .rows = static_cast<int>(count),
                    .cols = static_cast<int>(cols),
                    .group = static_cast<int>(cols),
                    .q = codes.as<int8_t>(),
                    .step = table->steps_.as<float>() + first,
                    .sums = sums.as<int32_t>(),
                    .out_stride = cols},
                   launch);
      packed = codes.as<void>();
    }
    if (storage.tiled)
      PackTiles(packed, static_cast<int>(first), static_cast<int>(count), table->table_.matrix,
                launch);
    context.NoteLaunch("packing a token table");
  }
  return table;
}

}  // namespace tern::cuda
