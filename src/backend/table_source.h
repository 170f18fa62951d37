// What a token table is packed from, whatever its type.
#pragma once

#include <span>
#include <variant>

#include "tensor/dense_matrix.h"
#include "tensor/ternary_matrix.h"

namespace tern {

using TableSource = std::variant<DenseMatrix, TernaryMatrix>;

inline int64_t TableRows(const TableSource& table) {
  if (const auto* dense = std::get_if<DenseMatrix>(&table)) return dense->rows;
  return std::get<TernaryMatrix>(table).rows();
}

inline int64_t TableCols(const TableSource& table) {
  if (const auto* dense = std::get_if<DenseMatrix>(&table)) return dense->cols;
  return std::get<TernaryMatrix>(table).cols();
}

/// Without the scales of a ternary table.
inline size_t TableBytes(const TableSource& table) {
  if (const auto* dense = std::get_if<DenseMatrix>(&table)) return dense->bytes.size();
  const auto& matrix = std::get<TernaryMatrix>(table);
  return static_cast<size_t>(matrix.rows()) * TernaryMatrix::RowBytes(matrix.cols());
}

/// out.size() is the number of columns.
inline void DecodeTableRow(const TableSource& table, int64_t row, std::span<float> out) {
  if (const auto* dense = std::get_if<DenseMatrix>(&table))
    DecodeRow(dense->type, dense->Row(row), out);
  else
    std::get<TernaryMatrix>(table).DequantizeRow(row, out);
}

}  // namespace tern
