#include "engine/device_fit.h"

#include <algorithm>

#include "model/model.h"
#include "tensor/scales.h"

namespace tern {
namespace {

// Packed matrices are padded to whole tiles, of these sizes at most.
constexpr int64_t kTileRows = 64, kTileCols = 128;

uint64_t RoundUp(int64_t n, int64_t step) {
  return static_cast<uint64_t>((n + step - 1) / step * step);
}

uint64_t TableBytesOnDevice(const TensorInfo& info, TableForm form) {
  const bool half = info.type == "F16" || info.type == "BF16";
  const uint64_t element = form == TableForm::kInt8 ? 1 : half ? 2 : 4;
  return RoundUp(info.rows(), kTileRows) * RoundUp(info.cols(), kTileCols) * element +
         static_cast<uint64_t>(info.rows()) * sizeof(float);
}

// Columns that share a scale in the layers' matrices, as the first of them has it.
Result<int64_t> GroupOf(const WeightSource& source, int64_t cols) {
  TERN_ASSIGN_OR_RETURN(TernaryMatrix first, source.ReadTernary("blk.0.attn_k.weight"));
  first = SimplifyScales(std::move(first));
  return first.scale().kind == ScaleKind::kGroup ? first.scale().group : cols;
}

}  // namespace

Result<DeviceNeeds> NeedsOf(const WeightSource& source, const ModelConfig& config,
                            const DecoderOptions& decoder, TableForm head, int64_t kv_positions) {
  TERN_TRY(CheckTensors(source, config));
  TERN_ASSIGN_OR_RETURN(const int64_t group, GroupOf(source, config.dim));
  DeviceNeeds needs{.layers = config.layers, .layer = 0, .rest = 0};
  for (const ExpectedTensor& tensor : ExpectedTensors(config)) {
    if (tensor.rows == 1) {
      needs.rest += static_cast<uint64_t>(tensor.cols) * sizeof(float);
    } else if (tensor.ternary && tensor.name.starts_with("blk.0.")) {
      const int64_t groups = group == config.dim ? 1 : tensor.cols / group;
      needs.layer += RoundUp(tensor.rows, kTileRows) * RoundUp(tensor.cols, kTileCols) / 4 +
                     static_cast<uint64_t>(tensor.rows * groups) * sizeof(float);
    }
  }
  const TensorInfo& embedding = *source.Find("token_embd.weight");
  const TensorInfo* const output = source.Find("output.weight");
  needs.rest += TableBytesOnDevice(embedding, TableForm::kNative);
  if (output != nullptr || head != TableForm::kNative)
    needs.rest += TableBytesOnDevice(output != nullptr ? *output : embedding, head);
  const KvShape cache{config.layers, BlocksFor(kv_positions), config.heads.kv_heads,
                      config.heads.head_dim, decoder.kv};
  needs.rest += cache.bytes() + Decoder::BufferBytes(config, decoder, group);
  return needs;
}

}  // namespace tern
