// The contract between the model and whoever computes. A backend owns its memory and its packed
// weights; the decoder only strings the operations together. Integer results are exact; float sums
// follow the fixed order of base/math.h, so every backend on the CPU gives the same bits.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backend/kv_layout.h"
#include "backend/table_source.h"
#include "base/result.h"
#include "base/types.h"
#include "tensor/buffer.h"
#include "tensor/ternary_matrix.h"
#include "tensor/view.h"

namespace tern {

/// How the inputs of ternary layers are represented.
enum class ActivationType : uint8_t { kInt8, kFloat };

/// Nonlinearity of the gate in the feed-forward layer.
enum class GateFunction : uint8_t { kReluSquared, kSilu };

/// Which elements of a head RoPE turns together: (i, i + d/2), or (2i, 2i + 1).
enum class RopeStyle : uint8_t { kNeox, kInterleaved };

/// What a linear layer does with its result.
enum class Epilogue : uint8_t { kStore, kAdd };

/// A ternary matrix in a backend's own layout, shape (rows, cols) = (outputs, inputs).
class PackedTernary {
 public:
  virtual ~PackedTernary() = default;
  virtual int64_t rows() const = 0;
  virtual int64_t cols() const = 0;
  /// Columns that share a weight scale; cols() unless the scales are grouped.
  virtual int64_t group() const = 0;
  virtual size_t bytes() const = 0;
  /// What Backend::Restore makes the same matrix from; empty when that isn't possible.
  virtual std::span<const std::byte> blob() const { return {}; }
};

/// The bytes of a packed matrix, from a file.
struct PackedBlob {
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t group = 0;
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;  // of the bytes
  bool copy = false;                  // into the backend's own memory, whatever is best there
};

/// The token table, shape (vocabulary, dim): rows for the embedding, dot products for the head.
class TokenTable {
 public:
  virtual ~TokenTable() = default;
  virtual int64_t rows() const = 0;
  virtual int64_t cols() const = 0;
  virtual size_t bytes() const = 0;
};

/// How a token table is kept, which decides what its logits are.
/// kNative: as the source has it; a logit is the dot product in float, in the fixed order of
/// base/math.h, of x and the decoded row.
/// kInt8: each decoded row w is quantised as a row on its way into a linear layer is (LinearInput,
/// one group): codes q_w and a step d_w; so is x. A logit is float(sum q_x q_w) * (d_w * d_x), the
/// sum exact. Rows for the embedding are q_w * d_w.
enum class TableForm : uint8_t { kNative, kInt8 };

/// Columns up to which 128 * 128 * cols fits in int32; a kInt8 table has no more.
inline constexpr int64_t kMaxInt8TableCols = 131008;
inline Status CheckInt8Table(const TableSource& table) {
  if (TableCols(table) <= kMaxInt8TableCols) return {};
  return Fail(Code::kUnsupported, "an int8 head of {} columns, expected at most {}",
              TableCols(table), kMaxInt8TableCols);
}

/// Rows on their way into a linear layer. kInt8: q = clamp(round_half_even(x * s), -128, 127) with
/// s = 127 / max(max|x|, 1e-5) over each group (formats.md section 10); kFloat: x itself.
struct LinearInput {
  ActivationType type = ActivationType::kInt8;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t group = 0;      // kInt8: columns that share a step; cols, or the weights' group
  int64_t stride = 0;     // elements from row to row of q and values: cols, padded to kInputPadding
  int8_t* q = nullptr;    // kInt8: (rows, stride), zero beyond cols
  float* step = nullptr;  // kInt8: (rows, cols / group), 1 / s: x is about q * step
  int32_t* sums = nullptr;  // kInt8: (rows, cols / group), sum of q: kernels that hold weights as
                            // 0..2 subtract it
  float* values = nullptr;  // kFloat: (rows, stride), zero beyond cols
};

/// Columns of linear inputs are padded to a multiple of this, so that kernels need no tail.
inline constexpr int64_t kInputPadding = 64;

/// A good LinearInput::stride: an odd number of cache lines, so that a column's lines of several
/// rows fall into different sets of the cache.
inline constexpr int64_t InputStride(int64_t cols) {
  return (cols + kInputPadding - 1) / kInputPadding * kInputPadding | kInputPadding;
}

/// Where each row of a step stands: row r is the token at positions[r] of sequence sequences[r],
/// whose position p lies in block tables[sequences[r]][p / kBlockPositions].
struct StepInfo {
  std::span<const int32_t> positions;                // (rows)
  std::span<const int32_t> sequences;                // (rows), each an index into tables
  std::span<const std::span<const BlockId>> tables;  // (sequences)

  std::span<const BlockId> Table(int64_t row) const {
    return tables[static_cast<size_t>(sequences[static_cast<size_t>(row)])];
  }
};

struct HeadShape {
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;

  int64_t q_cols() const { return heads * head_dim; }
  int64_t kv_cols() const { return kv_heads * head_dim; }
  int64_t qkv_cols() const { return q_cols() + 2 * kv_cols(); }
};

/// Keys and values of one layer: (blocks, kv_heads) pieces each, as kv_layout.h has them.
struct KvLayer {
  KvType type = KvType::kF32;
  void* k = nullptr;
  void* v = nullptr;

  /// The keys of a kv head in a block.
  template <class T>
  T* Keys(const HeadShape& shape, BlockId block, int64_t kv_head) const {
    return reinterpret_cast<T*>(static_cast<std::byte*>(k) + Offset(shape, block, kv_head));
  }
  template <class T>
  T* Values(const HeadShape& shape, BlockId block, int64_t kv_head) const {
    return reinterpret_cast<T*>(static_cast<std::byte*>(v) + Offset(shape, block, kv_head));
  }

 private:
  size_t Offset(const HeadShape& shape, BlockId block, int64_t kv_head) const {
    return static_cast<size_t>(block * shape.kv_heads + kv_head) * PieceBytes(type, shape.head_dim);
  }
};

/// What happens to q and k between projection and attention.
struct RopeOptions {
  RopeStyle style = RopeStyle::kNeox;
  int64_t dims = 0;                // leading elements of a head that are turned
  const float* cos_sin = nullptr;  // (positions, dims): dims/2 cosines, then dims/2 sines
  const float* q_norm = nullptr;   // (head_dim) RMSNorm gains per head before RoPE, or null
  const float* k_norm = nullptr;
  float eps = 0;
};

/// The kernel that ternary layers get for first_rows to last_rows (0: any more) rows of inputs.
struct KernelRange {
  int64_t first_rows = 1;
  int64_t last_rows = 0;
  std::string kernel;
};

/// How loops are cut. The result doesn't depend on it.
struct ThreadLayout {
  int parts = 1;    // of a long loop
  int workers = 1;  // threads that run them
  bool pinned = false;
};

/// What a forward pass ends with: the hidden state after the last norm, logits, or logits and the
/// best of them.
enum class PassOutput : uint8_t { kHidden, kLogits, kTopLogits };

/// Logits of a row that are looked for on a device before all of them are fetched: more than most
/// samplers look at.
inline constexpr int64_t kTopLogits = 64;

/// What a forward pass is about. The spans outlive it.
struct PassInfo {
  std::span<const TokenId> tokens;      // (rows)
  StepInfo step;                        // of the rows
  std::span<const int32_t> logit_rows;  // whose results are wanted
  /// Passes that agree in these do the same operations on the same buffers, apart from what is
  /// above and the number of rows.
  const void* buffers = nullptr;
  const void* cache = nullptr;
  PassOutput output = PassOutput::kLogits;
};

/// Pieces of memory of the same size, each `stride` bytes behind the one before.
struct StridedBytes {
  std::byte* data = nullptr;
  size_t row_bytes = 0;
  int64_t rows = 0;
  size_t stride = 0;

  size_t bytes() const { return static_cast<size_t>(rows) * row_bytes; }
};

/// What a backend holds of one kind of memory.
struct BackendMemory {
  std::string_view tier;        // "mapped"
  uint64_t live_bytes = 0;      // as they were asked for
  uint64_t reserved_bytes = 0;  // held from the system
};

/// Bytes that have crossed the bus between host and device.
struct BackendTransfers {
  uint64_t to_device = 0;
  uint64_t to_host = 0;
};

/// Of Backend::KeepLayers.
inline constexpr int64_t kLayerBuffers = 2;

/// What a device can do at most, measured.
struct DeviceLimits {
  double stream_gb_s = 0;  // read from its memory, 1e9 bytes
  double int8_tops = 0;    // 1e12 multiplications and additions, with ternary codes
  std::string peak_name;   // what computes them: "wgmma"
};

/// What Backend::BeginLayer says outside of every layer.
inline constexpr int64_t kNoLayer = -1;

/// Operations are ordered as called and noexcept; faults of a device surface in Synchronize().
/// Thread rule: one caller at a time.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string_view name() const = 0;
  /// CPU threads it computes with.
  virtual int threads() const = 0;
  virtual ThreadLayout thread_layout() const { return {threads(), threads(), false}; }
  /// Empty for a backend without a choice.
  virtual std::vector<KernelRange> kernel_ranges() const { return {}; }
  /// Memory of Allocate and the like, by tier; empty where nothing is known. Any thread, at any
  /// time.
  virtual std::vector<BackendMemory> memory() const { return {}; }

  /// Of a backend with memory of its own. Any thread, at any time.
  virtual std::optional<BackendTransfers> transfers() const { return std::nullopt; }

  /// Rows of a long prompt that it likes to get in one pass.
  virtual int64_t pass_rows() const { return 512; }
  /// Whether the host can't read results where they are: then TopLogits is there, and saves the way
  /// of all logits to the host.
  virtual bool ranks_logits() const { return false; }
  /// Bytes that Allocate can still give, of a backend with memory of its own.
  virtual std::optional<uint64_t> free_memory() const { return std::nullopt; }
  /// Of the `layers` layers that will be packed, only so many stay in its own memory; the others
  /// stay on the host and take room for kLayerBuffers of them there, through which they come over
  /// in every pass. Called once, before the first is packed. Errors: kUnsupported, kDevice.
  virtual Status KeepLayers(int64_t /*keep*/, int64_t /*layers*/) {
    return Fail(Code::kUnsupported, "backend {} has no other place for weights", name());
  }

  /// Of a backend with a device of its own; takes a second of it. Errors: kResourceExhausted, as
  /// Synchronize.
  virtual Result<std::optional<DeviceLimits>> MeasureLimits() { return std::nullopt; }

  /// Zeroed memory, aligned to 64 bytes. Errors: kResourceExhausted.
  virtual Result<Buffer> Allocate(size_t bytes) = 0;
  /// A copy of host floats in the backend's memory.
  virtual Result<Buffer> Upload(std::span<const float> values) = 0;
  /// From the host to the backend's memory; `from` may be changed after the call.
  virtual void Write(std::span<const std::byte> from, void* to) noexcept {
    std::memcpy(to, from.data(), from.size());
  }
  /// The other way, after all operations before. Errors: as Synchronize.
  virtual Status Read(const void* from, std::span<std::byte> to) {
    TERN_TRY(Synchronize());
    std::memcpy(to.data(), from, to.size());
    return {};
  }
  /// The rows on the host, until the next Fetch, after all operations before; themselves, when the
  /// host can read them. Errors: as Synchronize.
  virtual Result<FloatView> Fetch(FloatView rows) {
    TERN_TRY(Synchronize());
    return rows;
  }
  /// Host memory for CopyOut and CopyIn. Errors: kResourceExhausted.
  virtual Result<Buffer> AllocateHost(size_t bytes) { return Allocate(bytes); }
  /// Pieces of this backend's memory to the host, one behind the other, as the operations before
  /// leave them; later operations may write to `from`, but go on beside the copy. Until CopyIn has
  /// brought them back, `to` is nobody else's. Errors: as Synchronize.
  virtual Status CopyOut(const StridedBytes& from, std::byte* to) {
    TERN_TRY(Synchronize());
    for (int64_t i = 0; i < from.rows; ++i)
      std::memcpy(to + static_cast<size_t>(i) * from.row_bytes,
                  from.data + static_cast<size_t>(i) * from.stride, from.row_bytes);
    return {};
  }
  /// The other way, after all CopyOut and operations before; beside those that follow, which may
  /// touch `to` when HasArrived says so of the number returned, or after AwaitCopies. Errors: as
  /// Synchronize.
  virtual Result<uint64_t> CopyIn(const std::byte* from, const StridedBytes& to) {
    TERN_TRY(Synchronize());
    for (int64_t i = 0; i < to.rows; ++i)
      std::memcpy(to.data + static_cast<size_t>(i) * to.stride,
                  from + static_cast<size_t>(i) * to.row_bytes, to.row_bytes);
    return 0;
  }
  virtual bool HasArrived(uint64_t /*copy*/) { return true; }
  /// Operations from here on come after every CopyIn so far.
  virtual void AwaitCopies() noexcept {}
  /// Within this backend's memory; the ranges don't overlap.
  virtual void Copy(const void* from, size_t bytes, void* to) noexcept = 0;
  virtual Result<std::unique_ptr<PackedTernary>> Pack(TernaryMatrix matrix) = 0;
  /// Errors: kUnsupported for a kInt8 table that is too wide, kResourceExhausted.
  virtual Result<std::unique_ptr<TokenTable>> PackTable(TableSource table, TableForm form) = 0;
  /// Name and version of how Pack lays matrices out: blobs of another layout mean something else.
  /// "" when this backend can't restore.
  virtual std::string_view packed_layout() const { return {}; }
  /// The matrix that had this blob. Errors: kCorrupt when sizes don't agree.
  virtual Result<std::unique_ptr<PackedTernary>> Restore(const PackedBlob&) {
    return Fail(Code::kUnsupported, "backend {} does not restore packed weights", name());
  }

  /// Between these two stand the operations of a forward pass, and nothing else. A backend that has
  /// recorded a pass of this shape may run that and return false: then the caller leaves its
  /// operations out. Errors: kResourceExhausted, or as Synchronize.
  virtual Result<bool> BeginPass(const PassInfo&) { return true; }
  virtual Status EndPass() { return {}; }

  /// The operations, and the matrices packed, from here on belong to this layer of the model, or to
  /// none (kNoLayer). For who measures, and for KeepLayers; no result depends on it.
  virtual void BeginLayer(int64_t /*layer*/) noexcept {}

  /// x[r] = table[ids[r]]; ids are in range.
  virtual void Embed(std::span<const TokenId> ids, const TokenTable& table,
                     FloatView x) noexcept = 0;
  /// RMSNorm with gain (cols), or none when gain is null; then out.type decides on quantisation.
  virtual void NormQuantize(FloatView x, const float* gain, float eps,
                            const LinearInput& out) noexcept = 0;
  /// y (rows, w.rows) = x w^T, stored or added.
  virtual void Linear(const LinearInput& x, const PackedTernary& w, FloatView y,
                      Epilogue epilogue) noexcept = 0;
  /// NormQuantize into `in`, then Linear: a backend may join them and leave `in` untouched.
  virtual void NormLinear(FloatView x, const float* gain, float eps, const LinearInput& in,
                          const PackedTernary& w, FloatView y, Epilogue epilogue) noexcept {
    NormQuantize(x, gain, eps, in);
    Linear(in, w, y, epilogue);
  }
  /// Normalises and turns q and k of qkv (rows, qkv_cols) in place, and stores k and v at each
  /// row's position.
  virtual void RopeStoreKv(FloatView qkv, const HeadShape& shape, const RopeOptions& rope,
                           const StepInfo& step, const KvLayer& kv) noexcept = 0;
  /// Causal attention of each row over positions 0..own of its sequence. q, out: (rows, q_cols).
  virtual void Attention(FloatView q, const HeadShape& shape, const StepInfo& step,
                         const KvLayer& kv, FloatView out) noexcept = 0;
  /// out = gate_function(gate) * up, with gate and up the halves of x w^T; `scratch` (rows, w.rows)
  /// may be written.
  virtual void LinearGated(const LinearInput& x, const PackedTernary& w, GateFunction function,
                           FloatView scratch, FloatView out) noexcept = 0;
  /// NormQuantize into `in`, then LinearGated, likewise.
  virtual void NormLinearGated(FloatView x, const float* gain, float eps, const LinearInput& in,
                               const PackedTernary& w, GateFunction function, FloatView scratch,
                               FloatView out) noexcept {
    NormQuantize(x, gain, eps, in);
    LinearGated(in, w, function, scratch, out);
  }
  /// RopeStoreKv, then Attention of the same rows, likewise: q and k of qkv need not be turned.
  virtual void RopeAttention(FloatView qkv, const HeadShape& shape, const RopeOptions& rope,
                             const StepInfo& step, const KvLayer& kv, FloatView out) noexcept {
    RopeStoreKv(qkv, shape, rope, step, kv);
    Attention(qkv.Columns(0, shape.q_cols()), shape, step, kv, out);
  }
  /// out = gate_function(gate) * up, with gate_up (rows, 2 * out.cols) holding gate, then up.
  virtual void GatedActivation(FloatView gate_up, GateFunction function,
                               FloatView out) noexcept = 0;
  /// out = RMSNorm(x[row_ids]) * gain: the rows that want logits.
  virtual void NormRows(FloatView x, std::span<const int32_t> row_ids, const float* gain, float eps,
                        FloatView out) noexcept = 0;
  /// logits (rows, table.rows) = x table^T.
  virtual void Logits(FloatView x, const TokenTable& table, FloatView logits) noexcept = 0;
  /// The kTopLogits largest logits of each row, in falling order, of equal ones the lower id first,
  /// NaN never; places that no logit is left for get -infinity and id -1. values, ids: (rows,
  /// kTopLogits). For backends that rank logits.
  virtual void TopLogits(FloatView /*logits*/, float* /*values*/, TokenId* /*ids*/) noexcept {}
  virtual Status Synchronize() = 0;
};

}  // namespace tern
