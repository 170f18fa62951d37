#include "backend/cuda/cuda_backend.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "backend/cuda/block_copies.h"
#include "backend/cuda/device_context.h"
#include "backend/cuda/device_limits.h"
#include "backend/cuda/kernel_args.h"
#include "backend/cuda/kernels/attention.h"
#include "backend/cuda/kernels/head.h"
#include "backend/cuda/kernels/linear.h"
#include "backend/cuda/kernels/norm.h"
#include "backend/cuda/layer_stream.h"
#include "backend/cuda/pass_inputs.h"
#include "backend/cuda/pass_recorder.h"
#include "backend/cuda/weights.h"
#include "base/math.h"

namespace tern {
namespace {

using cuda::AttentionArgs;
using cuda::CudaTable;
using cuda::CudaTernary;
using cuda::DeviceContext;
using cuda::Int;
using cuda::KvArgs;
using cuda::Launch;
using cuda::LinearArgs;
using cuda::PassRecorder;
using cuda::ToGate;
using cuda::ToKvArgs;
using cuda::ToLinearArgs;
using cuda::ToNormArgs;
using cuda::ToRopeArgs;

// Rows up to which LinearFew is the faster one.
constexpr int64_t kFewRows = 16;
// Enough blocks of outputs and rows for several rounds of all multiprocessors.
constexpr int64_t kPassRows = 4096;
// Rows of a pass up to which launching kernels one by one takes longer than they run.
constexpr int64_t kRecordedRows = 256;

const CudaTernary& Weights(const PackedTernary& w) { return static_cast<const CudaTernary&>(w); }

class CudaBackend final : public Backend {
 public:
  CudaBackend(std::shared_ptr<DeviceContext> context, std::unique_ptr<cuda::BlockCopies> blocks,
              OptimizationLevel level)
      : context_(std::move(context)),
        blocks_(std::move(blocks)),
        name_(fmt::format("cuda:{}", context_->device().index)),
        level_(level) {}

  std::string_view name() const override { return name_; }
  int threads() const override { return 1; }
  std::vector<KernelRange> kernel_ranges() const override {
    const int64_t few = HasWgmma() ? kFewRows : 0;
    std::vector<KernelRange> ranges = {{1, few, "linear_one, linear_stream (mma.sync)"}};
    if (HasWgmma()) ranges.push_back({few + 1, 0, "linear_many (wgmma)"});
    return ranges;
  }
  std::vector<BackendMemory> memory() const override {
    const cuda::DeviceMemoryStats stats = context_->MemoryStats();
    return {{"device", stats.used, stats.reserved}};
  }
  std::optional<BackendTransfers> transfers() const override { return context_->transfers(); }
  int64_t pass_rows() const override { return kPassRows; }
  bool ranks_logits() const override { return true; }
  std::optional<uint64_t> free_memory() const override { return context_->FreeMemory(); }

  Status KeepLayers(int64_t keep, int64_t layers) override {
    if (keep >= layers) return {};
    TERN_ASSIGN_OR_RETURN(streamed_, cuda::LayerStream::Create(context_, keep, layers));
    return {};
  }
  Result<std::optional<DeviceLimits>> MeasureLimits() override {
    TERN_TRY(Synchronize());
    return cuda::MeasureDeviceLimits(*context_);
  }

  Result<Buffer> Allocate(size_t bytes) override { return context_->Allocate(bytes); }
  Result<Buffer> Upload(std::span<const float> values) override {
    TERN_ASSIGN_OR_RETURN(Buffer buffer, context_->Allocate(values.size_bytes()));
    TERN_TRY(context_->Upload(std::as_bytes(values), buffer.as<void>()));
    return buffer;
  }
  void Write(std::span<const std::byte> from, void* to) noexcept override {
    Note(context_->Upload(from, to));
  }
  Status Read(const void* from, std::span<std::byte> to) override {
    TERN_TRY(Synchronize());
    return context_->Download(from, to);
  }
  Result<FloatView> Fetch(FloatView rows) override {
    const size_t row_bytes = static_cast<size_t>(rows.cols) * sizeof(float);
    const size_t bytes = static_cast<size_t>(rows.rows) * row_bytes;
    TERN_TRY(fetched_.Reserve(std::max<size_t>(bytes, 1)));
    auto* host = reinterpret_cast<float*>(fetched_.data());
    if (bytes > 0)
      TERN_TRY(cuda::ToStatus(cudaMemcpy2DAsync(host, row_bytes, rows.data,
                                                static_cast<size_t>(rows.stride) * sizeof(float),
                                                row_bytes, static_cast<size_t>(rows.rows),
                                                cudaMemcpyDeviceToHost, context_->stream()),
                              "results of a pass"));
    context_->CountToHost(bytes);
    TERN_TRY(Synchronize());
    return FloatView(host, rows.rows, rows.cols);
  }
  Result<Buffer> AllocateHost(size_t bytes) override { return context_->AllocatePinned(bytes); }
  Status CopyOut(const StridedBytes& from, std::byte* to) override {
    return blocks_->Out(from, to);
  }
  Result<uint64_t> CopyIn(const std::byte* from, const StridedBytes& to) override {
    return blocks_->In(from, to);
  }
  bool HasArrived(uint64_t copy) override { return blocks_->HasArrived(copy); }
  void AwaitCopies() noexcept override { Note(blocks_->Await()); }
  void Copy(const void* from, size_t bytes, void* to) noexcept override {
    context_->MakeCurrent();
    Note(cuda::ToStatus(
        cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, context_->stream()), "copy"));
  }
  Result<std::unique_ptr<PackedTernary>> Pack(TernaryMatrix matrix) override {
    TERN_ASSIGN_OR_RETURN(auto packed, CudaTernary::Create(*context_, matrix));
    if (streamed_ && streamed_->Streams(layer_)) TERN_TRY(packed->MoveTo(streamed_, layer_));
    return packed;
  }
  Result<std::unique_ptr<TokenTable>> PackTable(TableSource table, TableForm form) override {
    return CudaTable::Create(*context_, table, form);
  }

  Result<bool> BeginPass(const PassInfo& pass) override {
    context_->MakeCurrent();
    TERN_TRY(inputs_.Load(*context_, pass, run_rows_));
    in_pass_ = true;
    // A layer's way over takes longer than launching its kernels, and its weights are in another
    // place the next time: streamed passes are not recorded.
    if (level_ != OptimizationLevel::kAggressive || streamed_ || inputs_.runs() > 0 ||
        std::ssize(pass.tokens) > kRecordedRows)
      return true;
    TERN_ASSIGN_OR_RETURN(
        const PassRecorder::Action action,
        recorder_.Begin(*context_, {std::ssize(pass.tokens), std::ssize(pass.logit_rows),
                                    inputs_.singles(), inputs_.runs(), inputs_.alone(),
                                    ChunkPositions(), pass.buffers, pass.cache, pass.output}));
    recording_ = action == PassRecorder::Action::kRecord;
    if (action == PassRecorder::Action::kReplayed) in_pass_ = false;
    return action != PassRecorder::Action::kReplayed;
  }
  Status EndPass() override {
    in_pass_ = false;
    if (!std::exchange(recording_, false)) return {};
    const Status ended = recorder_.EndRecording(*context_);
    if (!ended) (void)Synchronize();  // what the failed recording left isn't the next pass's
    return ended;
  }

  void BeginLayer(int64_t layer) noexcept override {
    layer_ = layer;
    if (streamed_) Note(streamed_->Enter(layer));
  }

  void Embed(std::span<const TokenId> ids, const TokenTable& table, FloatView x) noexcept override {
    if (!Ensure(in_pass_ && inputs_.Has(ids), {.tokens = ids, .step = {}, .logit_rows = {}}))
      return;
    // Behind a copy and not a kernel: nothing to overlap with.
    cuda::Embed(inputs_.device_tokens(), Int(std::ssize(ids)),
                static_cast<const CudaTable&>(table).table(), x.data, x.stride,
                context_->NewLaunch(false));
    context_->NoteLaunch("Embed");
  }

  void NormQuantize(FloatView x, const float* gain, float eps,
                    const LinearInput& out) noexcept override {
    cuda::NormQuantize(ToNormArgs(x, gain, eps, out), Next());
    context_->NoteLaunch("NormQuantize");
  }

  void Linear(const LinearInput& x, const PackedTernary& w, FloatView y,
              Epilogue epilogue) noexcept override {
    RunLinear(x, ToLinearArgs(x, Weights(w), y, epilogue));
  }

  void NormLinear(FloatView x, const float* gain, float eps, const LinearInput& in,
                  const PackedTernary& w, FloatView y, Epilogue epilogue) noexcept override {
    if (!CanJoinNorm(in, Weights(w))) return Backend::NormLinear(x, gain, eps, in, w, y, epilogue);
    cuda::NormLinearFew(ToNormArgs(x, gain, eps, in), ToLinearArgs(in, Weights(w), y, epilogue),
                        Next());
    context_->NoteLaunch("NormLinear");
  }

  void RopeStoreKv(FloatView qkv, const HeadShape& shape, const RopeOptions& rope,
                   const StepInfo& step, const KvLayer& kv) noexcept override {
    if (!Ensure(in_pass_ && inputs_.Has(step), {.tokens = {}, .step = step, .logit_rows = {}}))
      return;
    cuda::RopeStoreKv(ToRopeArgs(qkv, rope), inputs_.step(), ToKvArgs(kv, shape), Next());
    context_->NoteLaunch("RopeStoreKv");
  }

  void Attention(FloatView q, const HeadShape& shape, const StepInfo& step, const KvLayer& kv,
                 FloatView out) noexcept override {
    const KvArgs kv_args = ToKvArgs(kv, shape);
    run_rows_ = cuda::AttentionRunRows(kv_args);
    if (!Ensure(in_pass_ && inputs_.Has(step), {.tokens = {}, .step = step, .logit_rows = {}}))
      return;
    if (const auto args = ToAttentionArgs(q, kv_args, out)) {
      cuda::Attention(*args, inputs_.step(), kv_args, Next());
      context_->NoteLaunch("Attention");
    }
  }

  void RopeAttention(FloatView qkv, const HeadShape& shape, const RopeOptions& rope,
                     const StepInfo& step, const KvLayer& kv, FloatView out) noexcept override {
    if (!in_pass_ || !inputs_.Has(step) || !inputs_.alone())
      return Backend::RopeAttention(qkv, shape, rope, step, kv, out);
    const KvArgs kv_args = ToKvArgs(kv, shape);
    if (const auto args = ToAttentionArgs(qkv.Columns(0, shape.q_cols()), kv_args, out)) {
      cuda::RopeAttention(ToRopeArgs(qkv, rope), *args, inputs_.step(), kv_args, Next());
      context_->NoteLaunch("RopeAttention");
    }
  }

  void LinearGated(const LinearInput& x, const PackedTernary& w, GateFunction function,
                   FloatView scratch, FloatView out) noexcept override {
    if (!CanGate(x, Weights(w))) {
      Linear(x, w, scratch, Epilogue::kStore);
      return GatedActivation(scratch, function, out);
    }
    LinearArgs args = ToLinearArgs(x, Weights(w), out, Epilogue::kStore);
    args.gate = ToGate(function);
    RunLinear(x, args);
  }

  void NormLinearGated(FloatView x, const float* gain, float eps, const LinearInput& in,
                       const PackedTernary& w, GateFunction function, FloatView scratch,
                       FloatView out) noexcept override {
    if (!CanJoinNorm(in, Weights(w)) || !CanGate(in, Weights(w)))
      return Backend::NormLinearGated(x, gain, eps, in, w, function, scratch, out);
    LinearArgs args = ToLinearArgs(in, Weights(w), out, Epilogue::kStore);
    args.gate = ToGate(function);
    cuda::NormLinearFew(ToNormArgs(x, gain, eps, in), args, Next());
    context_->NoteLaunch("NormLinearGated");
  }

  void GatedActivation(FloatView gate_up, GateFunction function, FloatView out) noexcept override {
    cuda::GatedActivation(gate_up.data, gate_up.stride, Int(out.rows), Int(out.cols),
                          ToGate(function), out.data, out.stride, Next());
    context_->NoteLaunch("GatedActivation");
  }

  void NormRows(FloatView x, std::span<const int32_t> row_ids, const float* gain, float eps,
                FloatView out) noexcept override {
    if (row_ids.empty() || !Ensure(in_pass_ && inputs_.HasLogitRows(row_ids),
                                   {.tokens = {}, .step = {}, .logit_rows = row_ids}))
      return;
    cuda::NormRows(x.data, x.stride, inputs_.device_logit_rows(), Int(std::ssize(row_ids)),
                   Int(x.cols), gain, eps, out.data, out.stride, Next());
    context_->NoteLaunch("NormRows");
  }

  void Logits(FloatView x, const TokenTable& table, FloatView logits) noexcept override {
    if (x.rows == 0) return;
    if (!Grow(head_scratch_, cuda::HeadScratchBytes(Int(x.rows), Int(x.cols)))) return;
    cuda::Logits({.x = x.data,
                  .x_stride = x.stride,
                  .m = Int(x.rows),
                  .table = static_cast<const CudaTable&>(table).table(),
                  .logits = logits.data,
                  .logits_stride = logits.stride,
                  .scratch = head_scratch_.as<void>()},
                 Next());
    context_->NoteLaunch("Logits");
  }

  void TopLogits(FloatView logits, float* values, TokenId* ids) noexcept override {
    static_assert(kTopLogits <= cuda::kMaxTop);
    const int rows = Int(logits.rows), vocab = Int(logits.cols);
    if (rows == 0 || !Grow(top_scratch_, cuda::TopScratchBytes(rows, vocab, kTopLogits))) return;
    cuda::TopLogits(logits.data, logits.stride, rows, vocab, kTopLogits, values, ids,
                    top_scratch_.as<void>(), Next());
    context_->NoteLaunch("TopLogits");
  }

  Status Synchronize() override {
    TERN_TRY(std::exchange(fault_, Status()));
    return context_->Synchronize(name_);
  }

 private:
  bool HasWgmma() const { return context_->device().compute == 90; }

  // A kernel that may start while the one before it ends.
  Launch Next() const {
    context_->MakeCurrent();
    const bool waits = streamed_ && streamed_->TakeWait();
    return context_->NewLaunch(level_ == OptimizationLevel::kAggressive && !waits);
  }

  void Note(Status status) {
    if (!status && fault_) fault_ = std::move(status);
  }

  // Operations outside of a pass bring their inputs themselves.
  bool Ensure(bool there, const PassInfo& info) {
    context_->MakeCurrent();
    if (there) return true;
    const Status loaded = inputs_.Load(*context_, info, run_rows_);
    Note(loaded);
    return loaded.has_value();
  }

  bool Grow(Buffer& buffer, size_t bytes) {
    if (bytes <= buffer.bytes()) return true;
    auto grown = context_->Allocate(bytes);
    if (grown) buffer = std::move(*grown);
    Note(grown ? Status() : tl::unexpected<Error>(grown.error()));
    return grown.has_value();
  }

  // What single rows' positions are rounded up to: a power of two of attention's chunks, so that a
  // recorded pass serves many.
  int ChunkPositions() const {
    int64_t positions = kAttentionBlock;
    while (positions < inputs_.single_positions()) positions *= 2;
    return Int(positions);
  }

  bool CanJoinNorm(const LinearInput& in, const CudaTernary& w) const {
    return in.type == ActivationType::kInt8 && in.rows <= cuda::kJoinedRows && w.cols() % 4 == 0 &&
           w.group() == w.cols() && in.group == w.cols() && w.cols() <= cuda::kNormCols;
  }

  // Gate and other half of an output meet when the border between the halves is one between tiles.
  static bool CanGate(const LinearInput& x, const CudaTernary& w) {
    return x.type == ActivationType::kInt8 && w.group() == w.cols() && x.group == w.cols() &&
           w.rows() % (2 * cuda::kTileRows) == 0;
  }

  void RunLinear(const LinearInput& x, const LinearArgs& args) noexcept {
    if (x.type == ActivationType::kFloat)
      cuda::LinearFloat(x.values, x.stride, args, Next());
    else if (args.group != args.w.cols)
      cuda::LinearGrouped(args, Next());
    else if (args.m <= kFewRows || !HasWgmma())
      cuda::LinearFew(args, Next());
    else
      cuda::LinearMany(args, Next());
    context_->NoteLaunch("Linear");
  }

  // Nothing when there is no memory for its scratch.
  std::optional<AttentionArgs> ToAttentionArgs(FloatView q, const KvArgs& kv, FloatView out) {
    AttentionArgs args{.q = q.data,
                       .q_stride = q.stride,
                       .out = out.data,
                       .out_stride = out.stride,
                       .singles = inputs_.singles(),
                       .runs = inputs_.runs(),
                       .max_positions = ChunkPositions(),
                       .scratch = nullptr};
    if (!Grow(attention_scratch_,
              cuda::AttentionScratchBytes(args.singles, kv.heads, kv.head_dim, args.max_positions)))
      return std::nullopt;
    args.scratch = attention_scratch_.as<void>();
    return args;
  }

  const std::shared_ptr<DeviceContext> context_;
  const std::unique_ptr<cuda::BlockCopies> blocks_;
  const std::string name_;
  const OptimizationLevel level_;
  cuda::PassInputs inputs_;
  PassRecorder recorder_;
  std::shared_ptr<cuda::LayerStream> streamed_;  // null: all weights stay
  int64_t layer_ = kNoLayer;
  bool in_pass_ = false;
  bool recording_ = false;
  int run_rows_ = 16;
  Buffer attention_scratch_, head_scratch_, top_scratch_;
  cuda::PinnedBuffer fetched_;
  Status fault_;  // the first of an operation that could not be put on the stream
};

}  // namespace

Result<std::unique_ptr<Backend>> CreateCudaBackend(int device, OptimizationLevel level) {
  TERN_ASSIGN_OR_RETURN(auto context, DeviceContext::Create(device));
  TERN_ASSIGN_OR_RETURN(auto blocks, cuda::BlockCopies::Create(context));
  return std::make_unique<CudaBackend>(std::move(context), std::move(blocks), level);
}

}  // namespace tern
