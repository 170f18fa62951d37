// What NVIDIA's management library says about the GPUs of this machine. Found at run time: nothing
// of it is needed to build.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"

namespace tern {

/// A GPU at a moment. What the library or the device doesn't say is absent.
struct GpuSample {
  std::string name;                           // "NVIDIA H200"
  std::optional<double> utilization;          // share of the last moments in which kernels ran
  std::optional<double> memory_utilization;   // ... in which its memory was read or written
  std::optional<uint64_t> memory_used;        // bytes, the driver's own too
  std::optional<uint64_t> memory_total;       // bytes
  std::optional<double> power_watts;          // now
  std::optional<double> energy_joules;        // since the driver was loaded
  std::optional<double> temperature_celsius;  // of the chip
  std::optional<double> clock_hertz;          // of the multiprocessors
  std::optional<double> memory_clock_hertz;
};

/// Thread rule: any thread.
class Nvml {
 public:
  static constexpr const char* kLibrary = "libnvidia-ml.so.1";

  /// library: a name for the dynamic linker, or a path. Errors: kNotFound when there is no such
  /// library, kUnsupported when it is another one, kDevice when it finds no driver, each with the
  /// library's words.
  static Result<Nvml> Open(const std::string& library = kLibrary);

  int devices() const;
  /// "570.86.15"; "" when the library doesn't say.
  std::string driver() const;
  /// The device with this PCI bus id ("0000:1a:00.0"); other libraries count devices differently.
  /// Errors: kNotFound.
  Result<int> DeviceAt(const std::string& bus_id) const;
  /// Errors: kInvalidArgument for a device that isn't there, kDevice for one that is lost.
  Result<GpuSample> Sample(int device) const;

 private:
  class Library;
  explicit Nvml(std::shared_ptr<const Library> library) : library_(std::move(library)) {}

  std::shared_ptr<const Library> library_;
};

}  // namespace tern
