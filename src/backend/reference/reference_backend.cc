#include "backend/reference/reference_backend.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "backend/reference/reference_math.h"
#include "base/bf16.h"
#include "base/float16.h"
#include "base/math.h"
#include "platform/thread_pool.h"

namespace tern {
namespace {

constexpr size_t kAlignment = 64;

size_t Index(int64_t i) { return static_cast<size_t>(i); }

// Weights stay in the canonical codes; rows are unpacked where they are used.
class ReferenceTernary final : public PackedTernary {
 public:
  explicit ReferenceTernary(TernaryMatrix m) : matrix(std::move(m)) {}
  int64_t rows() const override { return matrix.rows(); }
  int64_t cols() const override { return matrix.cols(); }
  int64_t group() const override {
    return matrix.scale().kind == ScaleKind::kGroup ? matrix.scale().group : matrix.cols();
  }
  size_t bytes() const override {
    return Index(rows()) * TernaryMatrix::RowBytes(cols()) +
           matrix.scale().values.size() * sizeof(float);
  }

  const TernaryMatrix matrix;
};

// Decoded where it is used.
class ReferenceTable final : public TokenTable {
 public:
  explicit ReferenceTable(TableSource s) : source_(std::move(s)) {}
  int64_t rows() const override { return TableRows(source_); }
  int64_t cols() const override { return TableCols(source_); }
  size_t bytes() const override { return TableBytes(source_); }

  void DecodeRowTo(int64_t row, std::span<float> out) const { DecodeTableRow(source_, row, out); }

 private:
  const TableSource source_;
};

class ReferenceInt8Table final : public TokenTable {
 public:
  explicit ReferenceInt8Table(const TableSource& source)
      : rows_(TableRows(source)), cols_(TableCols(source)), q_(Index(rows_ * cols_)) {
    std::vector<float> values(Index(cols_));
    for (int64_t n = 0; n < rows_; ++n) {
      DecodeTableRow(source, n, values);
      steps_.push_back(1.0f / QuantizeGroup(values.data(), values.size(), &q_[Index(n * cols_)]));
    }
  }
  int64_t rows() const override { return rows_; }
  int64_t cols() const override { return cols_; }
  size_t bytes() const override { return q_.size() + steps_.size() * sizeof(float); }

  const int8_t* Row(int64_t n) const { return &q_[Index(n * cols_)]; }
  float Step(int64_t n) const { return steps_[Index(n)]; }

 private:
  const int64_t rows_, cols_;
  std::vector<int8_t> q_;     // (rows, cols)
  std::vector<float> steps_;  // (rows)
};

class ReferenceBackend final : public Backend {
 public:
  explicit ReferenceBackend(int threads) : pool_(threads) {}

  std::string_view name() const override { return "reference"; }
  int threads() const override { return pool_.threads(); }

  Result<Buffer> Allocate(size_t bytes) override {
    const size_t rounded = AlignUp(std::max<size_t>(bytes, 1), kAlignment);
    void* data = rounded < bytes ? nullptr : std::aligned_alloc(kAlignment, rounded);
    if (data == nullptr) return Fail(Code::kResourceExhausted, "cannot allocate {} bytes", bytes);
    std::memset(data, 0, rounded);
    return Buffer(data, bytes, [](void* p) { std::free(p); });
  }

  Result<Buffer> Upload(std::span<const float> values) override {
    TERN_ASSIGN_OR_RETURN(Buffer buffer, Allocate(values.size_bytes()));
    std::copy(values.begin(), values.end(), buffer.as<float>());
    return buffer;
  }

  void Copy(const void* from, size_t bytes, void* to) noexcept override {
    std::memcpy(to, from, bytes);
  }

  Result<std::unique_ptr<PackedTernary>> Pack(TernaryMatrix matrix) override {
    return std::make_unique<ReferenceTernary>(std::move(matrix));
  }

  Result<std::unique_ptr<TokenTable>> PackTable(TableSource table, TableForm form) override {
    if (form == TableForm::kNative) return std::make_unique<ReferenceTable>(std::move(table));
    TERN_TRY(CheckInt8Table(table));
    return std::make_unique<ReferenceInt8Table>(table);
  }

  void Embed(std::span<const TokenId> ids, const TokenTable& table, FloatView x) noexcept override {
    for (size_t r = 0; r < ids.size(); ++r) {
      float* to = x.Row(static_cast<int64_t>(r));
      if (const auto* native = dynamic_cast<const ReferenceTable*>(&table)) {
        native->DecodeRowTo(ids[r], {to, Index(x.cols)});
        continue;
      }
      const auto& int8 = static_cast<const ReferenceInt8Table&>(table);
      for (int64_t i = 0; i < x.cols; ++i)
        to[i] = static_cast<float>(int8.Row(ids[r])[i]) * int8.Step(ids[r]);
    }
  }

  void NormQuantize(FloatView x, const float* gain, float eps,
                    const LinearInput& out) noexcept override {
    pool_.ParallelFor(Index(x.rows), 1, [&](size_t begin, size_t end) {
      std::vector<float> normed(Index(x.cols));
      for (auto r = static_cast<int64_t>(begin); r < static_cast<int64_t>(end); ++r) {
        RmsNormRow(x.Row(r), gain, eps, Index(x.cols), normed.data());
        StoreInputRow(normed.data(), out, r);
      }
    });
  }

  void Linear(const LinearInput& x, const PackedTernary& w, FloatView y,
              Epilogue epilogue) noexcept override {
    const TernaryMatrix& matrix = static_cast<const ReferenceTernary&>(w).matrix;
    const int64_t group = x.type == ActivationType::kInt8 ? x.group : w.group();
    pool_.ParallelFor(Index(w.rows()), 8, [&](size_t begin, size_t end) {
      std::vector<int8_t> weights(Index(w.cols()));
      for (auto n = static_cast<int64_t>(begin); n < static_cast<int64_t>(end); ++n) {
        matrix.UnpackRow(n, weights);
        for (int64_t m = 0; m < x.rows; ++m) {
          const float sum = RowDot(x, m, weights.data(), matrix, n, group);
          float& out = y.Row(m)[n];
          out = epilogue == Epilogue::kAdd ? out + sum : sum;
        }
      }
    });
  }

  void RopeStoreKv(FloatView qkv, const HeadShape& shape, const RopeOptions& rope,
                   const StepInfo& step, const KvLayer& kv) noexcept override {
    pool_.ParallelFor(Index(qkv.rows), 1, [&](size_t begin, size_t end) {
      for (size_t r = begin; r < end; ++r) {
        float* row = qkv.Row(static_cast<int64_t>(r));
        const int64_t position = step.positions[r];
        const float* cos_sin = rope.cos_sin + position * rope.dims;
        for (int64_t h = 0; h < shape.heads + shape.kv_heads; ++h) {
          float* head = row + h * shape.head_dim;
          const float* gain = h < shape.heads ? rope.q_norm : rope.k_norm;
          if (gain) RmsNormRow(head, gain, rope.eps, Index(shape.head_dim), head);
          TurnHead(head, rope.style, rope.dims, cos_sin);
        }
        StoreKv(row + shape.q_cols(), shape, step.Table(static_cast<int64_t>(r)), position, kv);
      }
    });
  }

  void Attention(FloatView q, const HeadShape& shape, const StepInfo& step, const KvLayer& kv,
                 FloatView out) noexcept override {
    const int64_t heads_per_kv = shape.heads / shape.kv_heads;
    const float scale = 1.0f / std::sqrt(static_cast<float>(shape.head_dim));
    pool_.ParallelFor(Index(q.rows * shape.heads), 1, [&](size_t begin, size_t end) {
      for (auto i = static_cast<int64_t>(begin); i < static_cast<int64_t>(end); ++i) {
        const int64_t r = i / shape.heads, h = i % shape.heads;
        const std::span<const BlockId> table = step.Table(r);
        const int64_t kv_head = h / heads_per_kv, count = step.positions[Index(r)] + 1;
        const float* from = q.Row(r) + h * shape.head_dim;
        float* to = out.Row(r) + h * shape.head_dim;
        if (kv.type == KvType::kF32)
          AttendHead(from, Rows<float>(kv, shape, table, kv_head, count), scale,
                     Index(shape.head_dim), to);
        else if (kv.type == KvType::kInt8)
          AttendHead8(from, Rows<int8_t>(kv, shape, table, kv_head, count), scale,
                      Index(shape.head_dim), to);
        else
          AttendHead16(from, kv.type, Rows<uint16_t>(kv, shape, table, kv_head, count), scale,
                       Index(shape.head_dim), to);
      }
    });
  }

  void LinearGated(const LinearInput& x, const PackedTernary& w, GateFunction function,
                   FloatView scratch, FloatView out) noexcept override {
    Linear(x, w, scratch, Epilogue::kStore);
    GatedActivation(scratch, function, out);
  }

  void GatedActivation(FloatView gate_up, GateFunction function, FloatView out) noexcept override {
    pool_.ParallelFor(Index(out.rows), 1, [&](size_t begin, size_t end) {
      for (auto r = static_cast<int64_t>(begin); r < static_cast<int64_t>(end); ++r) {
        const float* gate = gate_up.Row(r);
        const float* up = gate + out.cols;
        float* to = out.Row(r);
        for (int64_t i = 0; i < out.cols; ++i) to[i] = Gate(function, gate[i]) * up[i];
      }
    });
  }

  void NormRows(FloatView x, std::span<const int32_t> row_ids, const float* gain, float eps,
                FloatView out) noexcept override {
    for (size_t i = 0; i < row_ids.size(); ++i)
      RmsNormRow(x.Row(row_ids[i]), gain, eps, Index(x.cols), out.Row(static_cast<int64_t>(i)));
  }

  void Logits(FloatView x, const TokenTable& table, FloatView logits) noexcept override {
    if (const auto* int8 = dynamic_cast<const ReferenceInt8Table*>(&table))
      return Int8Logits(x, *int8, logits);
    const auto& rows = static_cast<const ReferenceTable&>(table);
    const size_t cols = Index(x.cols);
    pool_.ParallelFor(Index(table.rows()), 64, [&](size_t begin, size_t end) {
      std::vector<float> row(cols);
      for (auto n = static_cast<int64_t>(begin); n < static_cast<int64_t>(end); ++n) {
        rows.DecodeRowTo(n, row);
        for (int64_t m = 0; m < x.rows; ++m) logits.Row(m)[n] = Dot(x.Row(m), row.data(), cols);
      }
    });
  }

  Status Synchronize() override { return {}; }

 private:
  static uint16_t Round(KvType type, float x) {
    return type == KvType::kF16 ? RoundHalf(x) : FloatToBf16(RoundBf16(x));
  }

  // k, then v, of one token: kv_cols each.
  static void StoreKv(const float* k, const HeadShape& shape, std::span<const BlockId> table,
                      int64_t position, const KvLayer& kv) {
    const int64_t cols = shape.kv_cols(), dim = shape.head_dim;
    const float* v = k + cols;
    const BlockId block = table[Index(position / kBlockPositions)];
    if (kv.type == KvType::kInt8) {
      for (int64_t h = 0; h < shape.kv_heads; ++h) {
        StoreCodes(k + h * dim, dim, position % kBlockPositions, KeyIndex,
                   kv.Keys<int8_t>(shape, block, h));
        StoreCodes(v + h * dim, dim, position % kBlockPositions, ValueIndex,
                   kv.Values<int8_t>(shape, block, h));
      }
      return;
    }
    for (int64_t i = 0; i < cols; ++i) {
      const int64_t to_k = KeyIndex(kv.type, position % kBlockPositions, i % dim, dim);
      const int64_t to_v = ValueIndex(kv.type, position % kBlockPositions, i % dim, dim);
      if (kv.type == KvType::kF32) {
        kv.Keys<float>(shape, block, i / dim)[to_k] = k[i];
        kv.Values<float>(shape, block, i / dim)[to_v] = v[i];
      } else {
        kv.Keys<uint16_t>(shape, block, i / dim)[to_k] = Round(kv.type, k[i]);
        kv.Values<uint16_t>(shape, block, i / dim)[to_v] = Round(kv.type, v[i]);
      }
    }
  }

  // x (dim), quantised, as a position of a piece; index is KeyIndex or ValueIndex.
  template <class Place>
  static void StoreCodes(const float* x, int64_t dim, int64_t position, Place index,
                         int8_t* piece) {
    std::vector<int8_t> codes(Index(dim));
    const float step = 1.0f / QuantizeGroup(x, Index(dim), codes.data());
    for (int64_t d = 0; d < dim; ++d)
      piece[index(KvType::kInt8, position, d, dim)] = codes[Index(d)];
    reinterpret_cast<float*>(piece + PieceElementBytes(KvType::kInt8, dim))[position] = step;
  }

  // The pieces that hold a sequence's first positions.
  template <class T>
  static KvRows<T> Rows(const KvLayer& kv, const HeadShape& shape, std::span<const BlockId> table,
                        int64_t kv_head, int64_t count) {
    KvRows<T> rows{{}, {}, count};
    for (const BlockId block : table.first(Index(BlocksFor(count)))) {
      rows.k.push_back(kv.Keys<T>(shape, block, kv_head));
      rows.v.push_back(kv.Values<T>(shape, block, kv_head));
    }
    return rows;
  }

  void Int8Logits(FloatView x, const ReferenceInt8Table& table, FloatView logits) {
    const size_t cols = Index(x.cols);
    std::vector<int8_t> q(cols);
    for (int64_t m = 0; m < x.rows; ++m) {
      const float step = 1.0f / QuantizeGroup(x.Row(m), cols, q.data());
      pool_.ParallelFor(Index(table.rows()), 64, [&](size_t begin, size_t end) {
        for (auto n = static_cast<int64_t>(begin); n < static_cast<int64_t>(end); ++n)
          logits.Row(m)[n] =
              static_cast<float>(DotInt8(q.data(), table.Row(n), cols)) * (table.Step(n) * step);
      });
    }
  }

  ThreadPool pool_;
};

}  // namespace

std::unique_ptr<Backend> CreateReferenceBackend(int threads) {
  return std::make_unique<ReferenceBackend>(threads);
}

}  // namespace tern
