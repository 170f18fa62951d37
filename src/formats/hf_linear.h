// Weights of a ternary projection in each form that Hugging Face checkpoints keep them in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "formats/hf_config.h"
#include "formats/safetensors.h"
#include "tensor/dense_matrix.h"
#include "tensor/ternary_matrix.h"

namespace tern {

enum class HfLinearForm : uint8_t {
  kPacked,  // U8 (ceil(out/4), in), four rows to a byte, and a weight_scale
  kCodes,   // float (out, in) of -1, 0, +1, and a weight_scale
  kMaster,  // float (out, in), quantised by absmean on loading
  kGroups,  // float (out, in) that is ternary in groups of 128 columns (whole rows if 128 doesn't
            // divide them)
};

/// One projection. The tensors are borrowed from whoever made this.
struct HfLinear {
  const SafetensorsTensor* weight = nullptr;
  const SafetensorsTensor* weight_scale = nullptr;  // kPacked, kCodes
  HfLinearForm form = HfLinearForm::kPacked;
  bool divide = false;  // weight = q / weight_scale, else q * weight_scale
  int64_t rows = 0, cols = 0;
  int64_t permute_head_dim = 0;  // rows per head whose order changes to interleaved pairs; 0: none
};

/// The dense type of tern for a float tensor; nothing for other types.
std::optional<DType> FloatType(SafetensorsType type);

/// Decides the form by the weight's type, the family and what quantization_config says, and checks
/// the shapes. kCorrupt or kUnsupported when they contradict each other; messages do not name the
/// tensor.
Status ClassifyLinear(const HfConfig& config, HfLinear& linear);

/// "U8 packed", "BF16 codes", "BF16 master", "F32 groups".
std::string FormText(const HfLinear& linear);

/// Decodes. kCorrupt for a code of 3, a weight_scale that is not a positive finite number, codes
/// other than -1, 0, +1, weights that are not finite; kUnsupported for dense weights. Rows in
/// messages are those of the result.
Result<TernaryMatrix> ReadLinear(const HfLinear& linear);

/// The packing of transformers' bitnet integration: byte (r, c) of `packed`, bits 2i+1:2i, is code
/// q+1 of row r + i * ceil(rows / 4), column c; the last stripe is short when 4 doesn't divide
/// rows. packed.size() == ceil(rows / 4) * cols. permute_head_dim as in HfLinear.
Result<TernaryMatrix> UnpackHf(std::span<const std::byte> packed, int64_t rows, int64_t cols,
                               int64_t permute_head_dim, float scale);

}  // namespace tern
