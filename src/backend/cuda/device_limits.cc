#include "backend/cuda/device_limits.h"

#include <algorithm>
#include <functional>
#include <memory>

#include "backend/cuda/kernels/limits.h"

namespace tern::cuda {
namespace {

constexpr size_t kMostBytes = size_t{1} << 30;  // many times the largest cache
constexpr int kRuns = 20;

using Event = std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, decltype(&cudaEventDestroy)>;

Result<Event> CreateEvent() {
  cudaEvent_t event = nullptr;
  TERN_TRY(ToStatus(cudaEventCreate(&event), "cudaEventCreate"));
  return Event(event, &cudaEventDestroy);
}

// Seconds of the fastest run; the first is not counted.
Result<double> Fastest(DeviceContext& context, const std::function<void()>& run) {
  TERN_ASSIGN_OR_RETURN(const Event start, CreateEvent());
  TERN_ASSIGN_OR_RETURN(const Event end, CreateEvent());
  double best = 0;
  for (int i = 0; i <= kRuns; ++i) {
    (void)cudaEventRecord(start.get(), context.stream());
    run();
    (void)cudaEventRecord(end.get(), context.stream());
    TERN_TRY(context.Synchronize("measuring limits"));
    float ms = 0;
    TERN_TRY(ToStatus(cudaEventElapsedTime(&ms, start.get(), end.get()), "measuring limits"));
    const double seconds = double{ms} / 1e3;
    if (i == 1 || (i > 1 && seconds < best)) best = seconds;
  }
  return best;
}

}  // namespace

Result<DeviceLimits> MeasureDeviceLimits(DeviceContext& context) {
  constexpr size_t kPart = size_t{1} << 20;
  const size_t bytes = std::min(kMostBytes, context.FreeMemory() / 2 / kPart * kPart);
  TERN_ASSIGN_OR_RETURN(const Buffer data, context.Allocate(bytes + kPart));
  TERN_TRY(ToStatus(cudaMemsetAsync(data.as<void>(), 0x5a, bytes, context.stream()), "cudaMemset"));
  auto* sink = reinterpret_cast<uint32_t*>(data.as<std::byte>() + bytes);
  const Launch launch = context.NewLaunch(false);
  TERN_ASSIGN_OR_RETURN(const double reading,
                        Fastest(context, [&] { ReadAll(data.as<void>(), bytes, sink, launch); }));
  double operations = 0;
  TERN_ASSIGN_OR_RETURN(const double multiplying,
                        Fastest(context, [&] { operations = MultiplyInt8(sink, launch); }));
  return DeviceLimits{.stream_gb_s = static_cast<double>(bytes) / reading / 1e9,
                      .int8_tops = operations / multiplying / 1e12,
                      .peak_name = launch.compute == 90 ? "wgmma" : "mma"};
}

}  // namespace tern::cuda
