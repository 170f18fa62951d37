// Writes GGUF version 3 files that upstream and its forks accept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "formats/codec.h"

namespace tern {

/// A metadata value with its exact GGUF type: readers of other projects insist on it. Counts and
/// ids are uint32_t, eps, rope base and token scores float, token types int32_t.
using GgufValue = std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, float, bool,
                               std::string, uint64_t, int64_t, double, std::vector<uint8_t>,
                               std::vector<int8_t>, std::vector<uint16_t>, std::vector<int16_t>,
                               std::vector<uint32_t>, std::vector<int32_t>, std::vector<float>,
                               std::vector<bool>, std::vector<std::string>, std::vector<uint64_t>,
                               std::vector<int64_t>, std::vector<double>>;

/// Collects metadata and tensor descriptions, then writes tensor by tensor, so that memory holds
/// what one tensor's producer needs and no more. Thread rule: one thread.
class GgufWriter {
 public:
  /// Takes the next bytes of a tensor; any number of calls, in order.
  using ByteSink = std::function<Status(std::span<const std::byte>)>;
  /// Hands a tensor's bytes to the sink, byte_span of them in all. Called once, by Write.
  using Producer = std::function<Status(const ByteSink&)>;

  /// Sets a key; a key set again keeps its place and takes the new value. Keys appear in the file
  /// in this order.
  void Set(std::string key, GgufValue value);

  /// Adds a tensor after the others. shape: outermost first, (rows, cols) or (n). Errors:
  /// kInvalidArgument for a name that is empty, longer than 63 bytes or taken, more than 4
  /// dimensions, or a shape the type can't hold.
  Status AddTensor(std::string name, std::vector<int64_t> shape, const Codec& codec,
                   Producer produce);
  /// The same for bytes that outlive Write, e.g. of a mapped file.
  Status AddTensor(std::string name, std::vector<int64_t> shape, const Codec& codec,
                   std::span<const std::byte> bytes);

  /// Size of the finished file.
  uint64_t FileBytes() const;

  /// Writes to a temporary file beside `path`, syncs it and renames it to `path`, so that `path` is
  /// the old file or the whole new one. Any failure (a full disk, a producer's error) removes the
  /// temporary file; the message says what could not be written.
  Status Write(const std::string& path) const;

 private:
  struct Tensor {
    std::string name;
    std::vector<int64_t> shape;
    uint32_t type_id;
    uint64_t bytes;
    Producer produce;
  };

  std::vector<std::byte> Header() const;

  std::vector<std::pair<std::string, GgufValue>> values_;
  std::vector<Tensor> tensors_;
  std::set<std::string, std::less<>> names_;
};

}  // namespace tern
