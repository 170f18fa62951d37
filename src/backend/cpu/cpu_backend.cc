#include "backend/cpu/cpu_backend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "backend/cpu/attention.h"
#include "backend/cpu/kernel_list.h"
#include "backend/cpu/token_table.h"
#include "backend/cpu/weights.h"
#include "base/math.h"
#include "memory/memory_pool.h"
#include "platform/thread_pool.h"

namespace tern {
namespace {

using cpu::CpuTable;
using cpu::CpuTernary;
using cpu::FloatOps;
using cpu::GateKind;
using cpu::GemmArgs;
using cpu::PackedMatrix;

size_t Index(int64_t i) { return static_cast<size_t>(i); }

class CpuBackend final : public Backend {
 public:
  CpuBackend(int threads, CpuFeatures features, std::string forced_isa)
      : pool_(threads),
        features_(features),
        forced_isa_(std::move(forced_isa)),
        ops_(*cpu::SelectFloatTarget(features_, forced_isa_).ops) {}

  std::string_view name() const override { return "cpu"; }
  int threads() const override { return pool_.threads(); }
  ThreadLayout thread_layout() const override {
    return {pool_.threads(), pool_.workers(), pool_.pinned()};
  }
  std::vector<KernelRange> kernel_ranges() const override {
    return cpu::KernelRanges(features_, forced_isa_);
  }
  std::vector<BackendMemory> memory() const override {
    std::vector<BackendMemory> uses;
    for (const MemoryTier tier : {MemoryTier::kBuddy, MemoryTier::kSlab, MemoryTier::kMapped}) {
      const TierStatistics statistics = memory_->Statistics(tier);
      if (statistics.allocations > 0)
        uses.push_back({tern::Name(tier), statistics.live_bytes, statistics.reserved_bytes});
    }
    return uses;
  }

  Result<Buffer> Allocate(size_t bytes) override {
    void* data = memory_->TakePages(bytes);
    if (data == nullptr) return Fail(Code::kResourceExhausted, "cannot allocate {} bytes", bytes);
    return Buffer(data, bytes, [memory = memory_](void* block) { memory->GivePages(block); });
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
    TERN_ASSIGN_OR_RETURN(PackedMatrix packed, cpu::PackN16k4(matrix, &pool_));
    return std::make_unique<CpuTernary>(std::move(packed));
  }

  std::string_view packed_layout() const override { return cpu::kPackedLayout; }

  Result<std::unique_ptr<PackedTernary>> Restore(const PackedBlob& blob) override {
    TERN_ASSIGN_OR_RETURN(PackedMatrix packed,
                          cpu::FromBlob(blob.rows, blob.cols, blob.group, blob.bytes, blob.owner));
    if (blob.copy) {
      TERN_ASSIGN_OR_RETURN(packed, cpu::Copy(packed, pool_));
    }
    return std::make_unique<CpuTernary>(std::move(packed));
  }

  Result<std::unique_ptr<TokenTable>> PackTable(TableSource table, TableForm form) override {
    if (form == TableForm::kNative) return std::make_unique<cpu::NativeTable>(std::move(table));
    TERN_TRY(CheckInt8Table(table));
    TERN_ASSIGN_OR_RETURN(Buffer codes,
                          Allocate(cpu::Int8Table::Bytes(TableRows(table), TableCols(table))));
    return std::make_unique<cpu::Int8Table>(table, std::move(codes), LogitsContext());
  }

  void Embed(std::span<const TokenId> ids, const TokenTable& table, FloatView x) noexcept override {
    const auto& rows = static_cast<const CpuTable&>(table);
    for (size_t r = 0; r < ids.size(); ++r)
      rows.DecodeRowTo(ids[r], {x.Row(static_cast<int64_t>(r)), Index(x.cols)});
  }

  void NormQuantize(FloatView x, const float* gain, float eps,
                    const LinearInput& out) noexcept override {
    pool_.ParallelFor(Index(x.rows), 1, [&](size_t begin, size_t end) {
      std::vector<float> normed(gain ? Index(x.cols) : 0);
      for (auto r = static_cast<int64_t>(begin); r < static_cast<int64_t>(end); ++r) {
        const float* row = x.Row(r);
        if (gain) {
          ops_.rms_norm(row, gain, eps, x.cols, normed.data());
          row = normed.data();
        }
        StoreRow(row, out, r);
      }
    });
  }

  void Linear(const LinearInput& x, const PackedTernary& w, FloatView y,
              Epilogue epilogue) noexcept override {
    const PackedMatrix& matrix = static_cast<const CpuTernary&>(w).matrix;
    if (x.type == ActivationType::kFloat) return LinearFloat(x, matrix, y, epilogue);
    GemmArgs args = Arguments(x, matrix, y);
    args.add = epilogue == Epilogue::kAdd;
    RunTiles(args, matrix.tiles());
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
          if (gain) ops_.rms_norm(head, gain, rope.eps, shape.head_dim, head);
          ops_.turn_head(head, rope.style == RopeStyle::kInterleaved, rope.dims, cos_sin);
        }
        attention_.Store(row + shape.q_cols(), shape, step.Table(static_cast<int64_t>(r)), position,
                         kv);
      }
    });
  }

  void Attention(FloatView q, const HeadShape& shape, const StepInfo& step, const KvLayer& kv,
                 FloatView out) noexcept override {
    attention_.Run(q, shape, step, kv, out);
  }

  void LinearGated(const LinearInput& x, const PackedTernary& w, GateFunction function,
                   FloatView scratch, FloatView out) noexcept override {
    const PackedMatrix& matrix = static_cast<const CpuTernary&>(w).matrix;
    if (x.type == ActivationType::kFloat || out.cols % cpu::kTileRows != 0) {
      Linear(x, w, scratch, Epilogue::kStore);
      GatedActivation(scratch, function, out);
      return;
    }
    GemmArgs args = Arguments(x, matrix, out);
    args.n = out.cols;
    args.gate = function == GateFunction::kSilu ? GateKind::kSilu : GateKind::kReluSquared;
    args.apart = out.cols / cpu::kTileRows;
    RunTiles(args, args.apart);
  }

  void GatedActivation(FloatView gate_up, GateFunction function, FloatView out) noexcept override {
    pool_.ParallelFor(Index(out.rows), 1, [&](size_t begin, size_t end) {
      for (auto r = static_cast<int64_t>(begin); r < static_cast<int64_t>(end); ++r)
        ops_.gate(gate_up.Row(r), gate_up.Row(r) + out.cols, out.cols,
                  function == GateFunction::kSilu, out.Row(r));
    });
  }

  void NormRows(FloatView x, std::span<const int32_t> row_ids, const float* gain, float eps,
                FloatView out) noexcept override {
    for (size_t i = 0; i < row_ids.size(); ++i)
      ops_.rms_norm(x.Row(row_ids[i]), gain, eps, x.cols, out.Row(static_cast<int64_t>(i)));
  }

  void Logits(FloatView x, const TokenTable& table, FloatView logits) noexcept override {
    static_cast<const CpuTable&>(table).Logits(x, LogitsContext(), logits);
  }

  Status Synchronize() override { return {}; }

 private:
  cpu::LogitsContext LogitsContext() { return {features_, forced_isa_, ops_, pool_}; }

  void StoreRow(const float* row, const LinearInput& out, int64_t r) const {
    if (out.type == ActivationType::kFloat) {
      float* to = out.values + r * out.stride;
      std::copy(row, row + out.cols, to);
      std::fill(to + out.cols, to + out.stride, 0.0f);
      return;
    }
    int8_t* q = out.q + r * out.stride;
    const int64_t groups = out.cols / out.group;
    for (int64_t g = 0; g < groups; ++g)
      ops_.quantize(row + g * out.group, out.group, q + g * out.group, out.step + r * groups + g,
                    out.sums + r * groups + g);
    std::fill(q + out.cols, q + out.stride, int8_t{0});
  }

  void LinearFloat(const LinearInput& x, const PackedMatrix& matrix, FloatView y,
                   Epilogue epilogue) {
    pool_.ParallelFor(Index(matrix.rows), 16, [&](size_t begin, size_t end) {
      std::vector<int8_t> weights(Index(matrix.cols));
      std::vector<float> part(Index(x.rows)), total(Index(x.rows));
      for (auto n = static_cast<int64_t>(begin); n < static_cast<int64_t>(end); ++n) {
        cpu::UnpackRow(matrix, n, weights.data());
        for (int64_t g = 0; g < matrix.groups; ++g) {
          const int64_t at = g * matrix.group;
          ops_.dot_ternary(weights.data() + at, x.values + at, x.stride, x.rows, matrix.group,
                           part.data(), 1);
          const float scale = matrix.scales[Index(
              (n / cpu::kTileRows * matrix.groups + g) * cpu::kTileRows + n % cpu::kTileRows)];
          for (size_t m = 0; m < part.size(); ++m)
            total[m] = g == 0 ? part[m] * scale : total[m] + part[m] * scale;
        }
        for (int64_t m = 0; m < x.rows; ++m) {
          float& out = y.Row(m)[n];
          out = epilogue == Epilogue::kAdd ? out + total[Index(m)] : total[Index(m)];
        }
      }
    });
  }

  static GemmArgs Arguments(const LinearInput& x, const PackedMatrix& matrix, FloatView y) {
    return {.codes = matrix.codes.data(),
            .scales = matrix.scales.data(),
            .x = x.q,
            .step = x.step,
            .sums = x.sums,
            .y = y.data,
            .x_stride = x.stride,
            .y_stride = y.stride,
            .m = x.rows,
            .n = matrix.rows,
            .steps = matrix.steps,
            .groups = matrix.groups,
            .tile_begin = 0,
            .tile_end = 0,
            .add = false};
  }

  // Pairs of tiles, which the kernels like to take together, over the threads.
  void RunTiles(const GemmArgs& args, int64_t tiles) {
    const cpu::TernaryKernel& kernel = cpu::PickKernel(args.m, features_, forced_isa_);
    pool_.ParallelFor(Index(tiles), 2, [&](size_t begin, size_t end) {
      GemmArgs part = args;
      part.tile_begin = static_cast<int64_t>(begin);
      part.tile_end = static_cast<int64_t>(end);
      kernel.run(part);
    });
  }

  ThreadPool pool_;
  const CpuFeatures features_;
  const std::string forced_isa_;
  const FloatOps& ops_;
  // Shared with every buffer: they may outlive the backend.
  std::shared_ptr<MemoryPool> memory_ = std::make_shared<MemoryPool>();
  cpu::Attention attention_{ops_, pool_};
};

}  // namespace

Result<std::unique_ptr<Backend>> CreateCpuBackend(int threads, OptimizationLevel level) {
  const CpuFeatures features = DetectCpu();
  TERN_ASSIGN_OR_RETURN(std::string forced, cpu::ForcedIsa(features));
  if (forced.empty() && level == OptimizationLevel::kNone) forced = cpu::AllKernels().back().isa;
  return std::make_unique<CpuBackend>(threads, features, std::move(forced));
}

}  // namespace tern
