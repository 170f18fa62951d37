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

class ReferenceTable final : public TokenTable {
 public:
  explicit ReferenceTable(TableSource s) : source(std::move(s)) {}
  int64_t rows() const override {
    return std::visit([](const auto& m) { return RowsOf(m); }, source);
  }
  int64_t cols() const override {
    return std::visit([](const auto& m) { return ColsOf(m); }, source);
  }
  size_t bytes() const override {
    if (const auto* dense = std::get_if<DenseMatrix>(&source)) return dense->bytes.size();
    return Index(rows()) * TernaryMatrix::RowBytes(cols());
  }

  void DecodeRowTo(int64_t row, std::span<float> out) const {
    if (const auto* dense = std::get_if<DenseMatrix>(&source))
      DecodeRow(dense->type, dense->Row(row), out);
    else
      std::get<TernaryMatrix>(source).DequantizeRow(row, out);
  }

  const TableSource source;

 private:
  static int64_t RowsOf(const DenseMatrix& m) { return m.rows; }
  static int64_t RowsOf(const TernaryMatrix& m) { return m.rows(); }
  static int64_t ColsOf(const DenseMatrix& m) { return m.cols; }
  static int64_t ColsOf(const TernaryMatrix& m) { return m.cols(); }
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

  Result<std::unique_ptr<PackedTernary>> Pack(TernaryMatrix matrix) override {
    return std::make_unique<ReferenceTernary>(std::move(matrix));
  }

  Result<std::unique_ptr<TokenTable>> PackTable(TableSource table) override {
    return std::make_unique<ReferenceTable>(std::move(table));
  }

  void Embed(std::span<const TokenId> ids, const TokenTable& table, FloatView x) noexcept override {
    const auto& rows = static_cast<const ReferenceTable&>(table);
    for (size_t r = 0; r < ids.size(); ++r)
      rows.DecodeRowTo(ids[r], {x.Row(static_cast<int64_t>(r)), Index(x.cols)});
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
        StoreKv(row + shape.q_cols(), shape, step.slots[r], position, kv);
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
        const int64_t slot = step.slots[Index(r)], kv_head = h / heads_per_kv;
        const int64_t count = step.positions[Index(r)] + 1;
        const float* from = q.Row(r) + h * shape.head_dim;
        float* to = out.Row(r) + h * shape.head_dim;
        if (kv.type != KvType::kF32) {
          const int64_t first = (slot * shape.kv_heads + kv_head) * kv.capacity * shape.head_dim;
          AttendHead16(from, {kv.type, kv.k16() + first, kv.v16() + first, count}, scale,
                       Index(shape.head_dim), to);
        } else {
          const int64_t first = slot * kv.capacity * shape.kv_cols() + kv_head * shape.head_dim;
          AttendHead(from, {kv.k32() + first, kv.v32() + first, shape.kv_cols(), count}, scale,
                     Index(shape.head_dim), to);
        }
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
  static void StoreKv(const float* k, const HeadShape& shape, int64_t slot, int64_t position,
                      const KvLayer& kv) {
    const int64_t cols = shape.kv_cols(), dim = shape.head_dim;
    const float* v = k + cols;
    if (kv.type == KvType::kF32) {
      const int64_t at = (slot * kv.capacity + position) * cols;
      std::copy(k, k + cols, kv.k32() + at);
      std::copy(v, v + cols, kv.v32() + at);
      return;
    }
    for (int64_t i = 0; i < cols; ++i) {
      const int64_t piece = (slot * shape.kv_heads + i / dim) * kv.capacity * dim;
      kv.k16()[piece + KeyIndex(kv.type, position, i % dim, dim)] = Round(kv.type, k[i]);
      kv.v16()[piece + ValueIndex(kv.type, position, i % dim, dim)] = Round(kv.type, v[i]);
    }
  }

  ThreadPool pool_;
};

}  // namespace

std::unique_ptr<Backend> CreateReferenceBackend(int threads) {
  return std::make_unique<ReferenceBackend>(threads);
}

}  // namespace tern
