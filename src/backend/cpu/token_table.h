// The token table in the memory of the CPU backend: rows for the embedding, products for the head.
#pragma once

#include "backend/backend.h"
#include "backend/cpu/float_contract.h"
#include "backend/cpu/logits_list.h"
#include "platform/thread_pool.h"

namespace tern::cpu {

/// What the products are computed with.
struct LogitsContext {
  CpuFeatures features;
  std::string_view forced_isa;
  const FloatOps& ops;
  ThreadPool& pool;
};

class CpuTable : public TokenTable {
 public:
  virtual void DecodeRowTo(int64_t row, std::span<float> out) const = 0;
  /// logits (rows, table rows) = x table^T.
  virtual void Logits(FloatView x, const LogitsContext& context, FloatView logits) const = 0;
};

/// The rows as the source has them.
class NativeTable final : public CpuTable {
 public:
  explicit NativeTable(TableSource s) : source_(std::move(s)) {}
  int64_t rows() const override { return TableRows(source_); }
  int64_t cols() const override { return TableCols(source_); }
  size_t bytes() const override { return TableBytes(source_); }
  void DecodeRowTo(int64_t row, std::span<float> out) const override {
    DecodeTableRow(source_, row, out);
  }
  void Logits(FloatView x, const LogitsContext& context, FloatView logits) const override;

 private:
  const TableSource source_;
};

/// Rows quantised to int8, in the layout of logits_contract.h.
class Int8Table final : public CpuTable {
 public:
  /// `codes` has Bytes(rows, cols) bytes; they are filled by the threads that will read them.
  Int8Table(const TableSource& source, Buffer codes, const LogitsContext& context);

  static int64_t Planes(int64_t cols);
  static size_t Bytes(int64_t rows, int64_t cols);

  int64_t rows() const override { return rows_; }
  int64_t cols() const override { return cols_; }
  size_t bytes() const override { return codes_.bytes() + scales_.size() * sizeof(float); }
  void DecodeRowTo(int64_t row, std::span<float> out) const override;
  void Logits(FloatView x, const LogitsContext& context, FloatView logits) const override;

 private:
  int64_t tiles() const { return (rows_ + kHeadTileRows - 1) / kHeadTileRows; }
  void PackRow(const int8_t* q, int64_t row);

  const int64_t rows_, cols_, planes_;
  Buffer codes_;               // (tiles, planes, 64)
  std::vector<float> scales_;  // (tiles, 16)
};

}  // namespace tern::cpu
