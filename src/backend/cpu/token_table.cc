#include "backend/cpu/token_table.h"

#include <algorithm>
#include <optional>

#include "base/math.h"

namespace tern::cpu {
namespace {

static_assert(kMaxHeadCols == kMaxInt8TableCols);
static_assert(int64_t{128} * 128 * kMaxHeadCols <= INT32_MAX);
static_assert(kInputPadding % kPlaneCols == 0);

size_t Index(int64_t i) { return static_cast<size_t>(i); }

RowFormat FormatOf(DType type) {
  switch (type) {
    case DType::kF32:
      return RowFormat::kF32;
    case DType::kF16:
      return RowFormat::kF16;
    case DType::kBF16:
      return RowFormat::kBF16;
    case DType::kQ8_0:
      return RowFormat::kQ8_0;
    case DType::kQ4_0:
      return RowFormat::kQ4_0;
    case DType::kQ4_K:
      return RowFormat::kQ4_K;
    case DType::kQ6_K:
      break;
  }
  return RowFormat::kQ6_K;
}

// The kernel's view of a table. Scales over groups that lanes would straddle have none.
struct NativeRows {
  RowFormat format;
  LogitsArgs args;
};
std::optional<NativeRows> RowsOf(const TableSource& source) {
  LogitsArgs args = {};
  if (const auto* dense = std::get_if<DenseMatrix>(&source)) {
    args.table = reinterpret_cast<const uint8_t*>(dense->bytes.data());
    args.row_bytes = static_cast<int64_t>(dense->bytes.size()) / dense->rows;
    args.k = dense->cols;
    return NativeRows{FormatOf(dense->type), args};
  }
  const auto& matrix = std::get<TernaryMatrix>(source);
  const ScaleSpec& scale = matrix.scale();
  args.table = matrix.RowCodes(0).data();
  args.row_bytes = static_cast<int64_t>(TernaryMatrix::RowBytes(matrix.cols()));
  args.k = matrix.cols();
  args.scales = scale.values.data();
  args.group = scale.kind == ScaleKind::kGroup ? scale.group : args.k;
  args.scale_stride = scale.kind == ScaleKind::kTensor ? 0 : args.k / args.group;
  if (args.group % static_cast<int64_t>(kReduceLanes) != 0 && args.group != args.k)
    return std::nullopt;
  return NativeRows{RowFormat::kTernary, args};
}

}  // namespace

void NativeTable::Logits(FloatView x, const LogitsContext& context, FloatView logits) const {
  const LogitsOps& ops = *SelectLogitsTarget(context.features, context.forced_isa).ops;
  const std::optional<NativeRows> rows = RowsOf(source_);
  context.pool.ParallelFor(Index(TableRows(source_)), 64, [&](size_t begin, size_t end) {
    LogitsArgs args = rows ? rows->args : LogitsArgs{};
    args.x = x.data;
    args.y = logits.data;
    args.x_stride = x.stride;
    args.y_stride = logits.stride;
    args.m = x.rows;
    args.begin = static_cast<int64_t>(begin);
    args.end = static_cast<int64_t>(end);
    if (rows) return ops.of[static_cast<size_t>(rows->format)](args);
    // Decoded one by one, then multiplied as floats.
    std::vector<float> row(Index(x.cols));
    args.table = reinterpret_cast<const uint8_t*>(row.data());
    args.k = x.cols;
    args.begin = 0;
    args.end = 1;
    for (size_t n = begin; n < end; ++n) {
      DecodeTableRow(source_, static_cast<int64_t>(n), row);
      args.y = logits.data + n;
      ops.of[static_cast<size_t>(RowFormat::kF32)](args);
    }
  });
}

int64_t Int8Table::Planes(int64_t cols) {
  return static_cast<int64_t>(AlignUp(static_cast<uint64_t>(cols), kInputPadding)) / kPlaneCols;
}

size_t Int8Table::Bytes(int64_t rows, int64_t cols) {
  const int64_t tiles = (rows + kHeadTileRows - 1) / kHeadTileRows;
  return Index(tiles * Planes(cols) * kPlaneBytes);
}

Int8Table::Int8Table(const TableSource& source, Buffer codes, const LogitsContext& context)
    : rows_(TableRows(source)),
      cols_(TableCols(source)),
      planes_(Planes(cols_)),
      codes_(std::move(codes)),
      scales_(Index(tiles() * kHeadTileRows)) {
  context.pool.ParallelFor(Index(tiles()), 1, [&](size_t begin, size_t end) {
    std::vector<float> values(Index(cols_));
    std::vector<int8_t> q(Index(planes_ * kPlaneCols), 0);
    const int64_t last = std::min(rows_, static_cast<int64_t>(end) * kHeadTileRows);
    for (auto row = static_cast<int64_t>(begin) * kHeadTileRows; row < last; ++row) {
      DecodeTableRow(source, row, values);
      int32_t unused_sum;
      context.ops.quantize(values.data(), cols_, q.data(), &scales_[Index(row)], &unused_sum);
      PackRow(q.data(), row);
    }
  });
}

void Int8Table::PackRow(const int8_t* q, int64_t row) {
  uint8_t* to = codes_.as<uint8_t>() + row / kHeadTileRows * planes_ * kPlaneBytes +
                row % kHeadTileRows * kPlaneCols;
  for (int64_t p = 0; p < planes_; ++p)
    for (int64_t j = 0; j < kPlaneCols; ++j)
      to[p * kPlaneBytes + j] = static_cast<uint8_t>(q[p * kPlaneCols + j] + kWeightOffset);
}

void Int8Table::DecodeRowTo(int64_t row, std::span<float> out) const {
  const uint8_t* from = codes_.as<uint8_t>() + row / kHeadTileRows * planes_ * kPlaneBytes +
                        row % kHeadTileRows * kPlaneCols;
  for (size_t i = 0; i < out.size(); ++i) {
    const int code = from[i / kPlaneCols * kPlaneBytes + i % kPlaneCols];
    out[i] = static_cast<float>(code - kWeightOffset) * scales_[Index(row)];
  }
}

void Int8Table::Logits(FloatView x, const LogitsContext& context, FloatView logits) const {
  const int64_t stride = InputStride(x.cols);
  std::vector<int8_t> q(Index(x.rows * stride), 0);
  std::vector<float> steps(Index(x.rows));
  std::vector<int32_t> sums(Index(x.rows));
  for (int64_t m = 0; m < x.rows; ++m)
    context.ops.quantize(x.Row(m), x.cols, &q[Index(m * stride)], &steps[Index(m)],
                         &sums[Index(m)]);
  const Int8LogitsFunction run = SelectInt8Logits(x.rows, context.features, context.forced_isa).run;
  context.pool.ParallelFor(Index(tiles()), 1, [&](size_t begin, size_t end) {
    run({.codes = codes_.as<uint8_t>(),
         .scales = scales_.data(),
         .x = q.data(),
         .step = steps.data(),
         .sums = sums.data(),
         .y = logits.data,
         .x_stride = stride,
         .y_stride = logits.stride,
         .m = x.rows,
         .n = rows_,
         .planes = planes_,
         .tile_begin = static_cast<int64_t>(begin),
         .tile_end = static_cast<int64_t>(end)});
  });
}

}  // namespace tern::cpu
