// What a model file looks like to the model layer, whatever its format.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "formats/metadata.h"
#include "tensor/dense_matrix.h"
#include "tensor/ternary_matrix.h"

namespace tern {

/// Order of values inside I2_S bytes. Nothing in a file tells them apart (docs/formats.md, I2_S).
enum class I2sLayout : uint8_t { kX86, kArm, kRows4 };

struct SourceOptions {
  I2sLayout i2s_layout = I2sLayout::kX86;
};

struct TensorInfo {
  std::string name;  // GGUF's name, e.g. "blk.0.attn_q.weight", also for Hugging Face folders
  std::vector<int64_t>
      shape;         // outermost first: (rows, cols) = (outputs, inputs); a vector has one entry
  std::string type;  // the file's own type name, e.g. "I2_S", "U8 packed", "F16"
  bool ternary = false;  // ReadTernary works on it
  uint64_t bytes = 0;    // in the file
  uint64_t offset = 0;   // of its data from the beginning of `file`
  std::string file;

  int64_t rows() const { return shape.size() < 2 ? 1 : shape[shape.size() - 2]; }
  int64_t cols() const { return shape.empty() ? 1 : shape.back(); }
};

/// Named tensors and metadata. Names, keys and row orders are GGUF's: a Hugging Face folder is
/// translated, and q and k rows of "llama" models are permuted to the interleaved RoPE order that
/// GGUF files have. Thread rule: immutable after opening; reads may run in parallel.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  /// The file or folder, for messages.
  virtual const std::string& path() const = 0;
  /// Sizes and times of the files, from before they were opened (source_identity.h); "" for a
  /// source in memory.
  const std::string& stamp() const { return stamp_; }
  void set_stamp(std::string stamp) { stamp_ = std::move(stamp); }
  /// "GGUF v3", "Hugging Face safetensors", for `tern info`.
  virtual std::string format() const = 0;
  virtual const Metadata& metadata() const = 0;
  virtual std::span<const TensorInfo> tensors() const = 0;
  /// nullptr when there is no such tensor.
  virtual const TensorInfo* Find(std::string_view name) const = 0;

  /// Errors of the reads: kNotFound; kUnsupported when the type can't be read so; kCorrupt for
  /// illegal codes and scales that are not finite. Messages name file and tensor.
  virtual Result<TernaryMatrix> ReadTernary(std::string_view name) const = 0;
  /// In the file's own dense type; vectors have rows = 1.
  virtual Result<DenseMatrix> ReadDense(std::string_view name) const = 0;
  /// Any type, decoded to float32, row-major.
  virtual Result<std::vector<float>> ReadF32(std::string_view name) const = 0;

 private:
  std::string stamp_;
};

/// Opens a GGUF file or a Hugging Face folder (by what it is, not by its name).
Result<std::unique_ptr<WeightSource>> OpenWeights(const std::string& path,
                                                  const SourceOptions& options);

}  // namespace tern
