// The token table in the memory of the CPU backend: rows for the embedding, products for the head.
#pragma once

#include "backend/backend.h"
#include "backend/cpu/float_contract.h"
#include "platform/thread_pool.h"

namespace tern::cpu {

class CpuTable final : public TokenTable {
 public:
  explicit CpuTable(TableSource s) : source_(std::move(s)) {}
  int64_t rows() const override { return dense() ? dense()->rows : ternary().rows(); }
  int64_t cols() const override { return dense() ? dense()->cols : ternary().cols(); }
  size_t bytes() const override;

  void DecodeRowTo(int64_t row, std::span<float> out) const;
  /// logits (rows, table rows) = x table^T.
  void Logits(FloatView x, const FloatOps& ops, ThreadPool& pool, FloatView logits) const;

 private:
  const DenseMatrix* dense() const { return std::get_if<DenseMatrix>(&source_); }
  const TernaryMatrix& ternary() const { return std::get<TernaryMatrix>(source_); }
  const RowType* NativeRowType() const;

  const TableSource source_;
};

}  // namespace tern::cpu
