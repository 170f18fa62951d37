#include "backend/trace/trace_backend.h"

#include <unordered_set>
#include <utility>

namespace tern {
namespace {

class TraceBackend final : public Backend {
 public:
  TraceBackend(std::unique_ptr<Backend> inner, OpObserver& observer, bool synchronize)
      : inner_(std::move(inner)), observer_(observer), synchronize_(synchronize) {}

  std::string_view name() const override { return inner_->name(); }
  int threads() const override { return inner_->threads(); }
  ThreadLayout thread_layout() const override { return inner_->thread_layout(); }
  std::vector<KernelRange> kernel_ranges() const override { return inner_->kernel_ranges(); }
  std::vector<BackendMemory> memory() const override { return inner_->memory(); }
  std::optional<BackendTransfers> transfers() const override { return inner_->transfers(); }

  Result<Buffer> Allocate(size_t bytes) override { return inner_->Allocate(bytes); }
  Result<Buffer> Upload(std::span<const float> values) override { return inner_->Upload(values); }
  int64_t pass_rows() const override { return inner_->pass_rows(); }
  bool ranks_logits() const override { return inner_->ranks_logits(); }
  std::optional<uint64_t> free_memory() const override { return inner_->free_memory(); }
  Status KeepLayers(int64_t keep, int64_t layers) override {
    return inner_->KeepLayers(keep, layers);
  }
  Result<std::optional<DeviceLimits>> MeasureLimits() override { return inner_->MeasureLimits(); }
  void Write(std::span<const std::byte> from, void* to) noexcept override {
    inner_->Write(from, to);
  }
  Status Read(const void* from, std::span<std::byte> to) override {
    TERN_TRY(Synchronize());
    return inner_->Read(from, to);
  }
  Result<FloatView> Fetch(FloatView rows) override {
    TERN_TRY(Synchronize());
    return inner_->Fetch(rows);
  }
  Result<Buffer> AllocateHost(size_t bytes) override { return inner_->AllocateHost(bytes); }
  Status CopyOut(const StridedBytes& from, std::byte* to) override {
    return inner_->CopyOut(from, to);
  }
  Result<uint64_t> CopyIn(const std::byte* from, const StridedBytes& to) override {
    return inner_->CopyIn(from, to);
  }
  bool HasArrived(uint64_t copy) override { return inner_->HasArrived(copy); }
  void AwaitCopies() noexcept override { inner_->AwaitCopies(); }
  void Copy(const void* from, size_t bytes, void* to) noexcept override {
    Timed(
        "Copy", 0, nullptr,
        [bytes] {
          return OpCost{2 * bytes, 0, OpNumbers::kFloat};
        },
        [&] { inner_->Copy(from, bytes, to); });
  }
  Result<std::unique_ptr<PackedTernary>> Pack(TernaryMatrix matrix) override {
    return inner_->Pack(std::move(matrix));
  }
  Result<std::unique_ptr<TokenTable>> PackTable(TableSource table, TableForm form) override {
    auto packed = inner_->PackTable(std::move(table), form);
    if (!packed) return packed;
    // Another table may have lain at this address.
    int8_tables_.erase(packed->get());
    if (form == TableForm::kInt8) int8_tables_.insert(packed->get());
    return packed;
  }
  std::string_view packed_layout() const override { return inner_->packed_layout(); }
  Result<std::unique_ptr<PackedTernary>> Restore(const PackedBlob& blob) override {
    return inner_->Restore(blob);
  }
  void BeginLayer(int64_t layer) noexcept override {
    layer_ = layer;
    inner_->BeginLayer(layer);
  }

  void Embed(std::span<const TokenId> ids, const TokenTable& table, FloatView x) noexcept override {
    const auto rows = static_cast<int64_t>(ids.size());
    Timed(
        "Embed", rows, &table, [&] { return CostOfEmbed(rows, table); },
        [&] { inner_->Embed(ids, table, x); });
  }
  void NormQuantize(FloatView x, const float* gain, float eps,
                    const LinearInput& out) noexcept override {
    Timed(
        "NormQuantize", x.rows, nullptr,
        [&] { return CostOfNormQuantize(x.rows, gain != nullptr, out); },
        [&] { inner_->NormQuantize(x, gain, eps, out); });
  }
  void Linear(const LinearInput& x, const PackedTernary& w, FloatView y,
              Epilogue epilogue) noexcept override {
    Timed(
        "Linear", x.rows, &w, [&] { return CostOfLinear(x, w, epilogue); },
        [&] { inner_->Linear(x, w, y, epilogue); });
  }
  void RopeStoreKv(FloatView qkv, const HeadShape& shape, const RopeOptions& rope,
                   const StepInfo& step, const KvLayer& kv) noexcept override {
    Timed(
        "RopeStoreKv", qkv.rows, nullptr,
        [&] { return CostOfRopeStoreKv(qkv.rows, shape, rope, kv.type); },
        [&] { inner_->RopeStoreKv(qkv, shape, rope, step, kv); });
  }
  void Attention(FloatView q, const HeadShape& shape, const StepInfo& step, const KvLayer& kv,
                 FloatView out) noexcept override {
    Timed(
        "Attention", q.rows, nullptr, [&] { return CostOfAttention(shape, step, kv.type); },
        [&] { inner_->Attention(q, shape, step, kv, out); });
  }
  void LinearGated(const LinearInput& x, const PackedTernary& w, GateFunction function,
                   FloatView scratch, FloatView out) noexcept override {
    Timed(
        "LinearGated", x.rows, &w, [&] { return CostOfLinearGated(x, w); },
        [&] { inner_->LinearGated(x, w, function, scratch, out); });
  }
  void GatedActivation(FloatView gate_up, GateFunction function, FloatView out) noexcept override {
    Timed(
        "GatedActivation", out.rows, nullptr,
        [&] { return CostOfGatedActivation(out.rows, out.cols); },
        [&] { inner_->GatedActivation(gate_up, function, out); });
  }
  void NormRows(FloatView x, std::span<const int32_t> row_ids, const float* gain, float eps,
                FloatView out) noexcept override {
    const auto rows = static_cast<int64_t>(row_ids.size());
    Timed(
        "NormRows", rows, nullptr, [&] { return CostOfNormRows(rows, x.cols); },
        [&] { inner_->NormRows(x, row_ids, gain, eps, out); });
  }
  void Logits(FloatView x, const TokenTable& table, FloatView logits) noexcept override {
    Timed(
        "Logits", x.rows, &table,
        [&] { return CostOfLogits(x.rows, table, int8_tables_.contains(&table)); },
        [&] { inner_->Logits(x, table, logits); });
  }
  void TopLogits(FloatView logits, float* values, TokenId* ids) noexcept override {
    Timed(
        "TopLogits", logits.rows, nullptr,
        [&] { return CostOfTopLogits(logits.rows, logits.cols); },
        [&] { inner_->TopLogits(logits, values, ids); });
  }
  Status Synchronize() override {
    Status now = inner_->Synchronize();
    return std::exchange(fault_, Status()).and_then([&now] { return now; });
  }

 private:
  template <class Cost, class Run>
  void Timed(std::string_view op, int64_t rows, const void* weights, Cost cost, Run run) noexcept {
    if (!observer_.wants_ops()) return run();
    OpCall call{.op = op,
                .layer = layer_,
                .rows = rows,
                .weights = weights,
                .cost = cost(),
                .begin = {},
                .end = {}};
    call.begin = std::chrono::steady_clock::now();
    run();
    if (synchronize_) {
      Status status = inner_->Synchronize();
      if (!status && fault_) fault_ = std::move(status);
    }
    call.end = std::chrono::steady_clock::now();
    observer_.OnOp(call);
  }

  const std::unique_ptr<Backend> inner_;
  OpObserver& observer_;
  const bool synchronize_;
  int64_t layer_ = kNoLayer;
  Status fault_;  // the first of a device that was met while waiting
  std::unordered_set<const TokenTable*> int8_tables_;
};

}  // namespace

std::unique_ptr<Backend> CreateTraceBackend(std::unique_ptr<Backend> inner, OpObserver& observer,
                                            bool synchronize) {
  return std::make_unique<TraceBackend>(std::move(inner), observer, synchronize);
}

}  // namespace tern
