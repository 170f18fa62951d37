#include "backend/cuda/device_context.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tern::cuda {

Status ToStatus(cudaError_t error, std::string_view what) {
  if (error == cudaSuccess) return {};
  const Code code = error == cudaErrorMemoryAllocation ? Code::kResourceExhausted : Code::kDevice;
  return Fail(code, "{}: {} ({})", what, cudaGetErrorString(error), cudaGetErrorName(error));
}

Status PinnedBuffer::Reserve(size_t bytes) {
  if (bytes <= bytes_) return {};
  data_.reset();
  bytes_ = 0;
  void* data = nullptr;
  const cudaError_t error = cudaMallocHost(&data, bytes);
  if (error == cudaErrorMemoryAllocation) (void)cudaGetLastError();  // no fault of the next pass
  TERN_TRY(ToStatus(error, fmt::format("{} bytes of pinned memory", bytes)));
  data_.reset(static_cast<std::byte*>(data));
  bytes_ = bytes;
  return {};
}

Result<std::shared_ptr<DeviceContext>> DeviceContext::Create(int device) {
  TERN_ASSIGN_OR_RETURN(const auto devices, CudaDevices());
  if (device < 0 || device >= std::ssize(devices))
    return Fail(Code::kNotFound, "CUDA device {}: this machine has {} of them", device,
                devices.size());
  const CudaDevice& found = devices[static_cast<size_t>(device)];
  if (found.compute < 80)
    return Fail(Code::kUnsupported,
                "CUDA device {}, {}: compute capability {}.{}, at least 8.0 is needed", device,
                found.name, found.compute / 10, found.compute % 10);
  std::shared_ptr<DeviceContext> context(new DeviceContext);
  context->device_ = found;
  TERN_TRY(ToStatus(cudaSetDevice(device), "cudaSetDevice"));
  TERN_TRY(ToStatus(cudaStreamCreateWithFlags(&context->stream_, cudaStreamNonBlocking),
                    "cudaStreamCreate"));
  cudaMemPoolProps props = {};
  props.allocType = cudaMemAllocationTypePinned;
  props.location = {cudaMemLocationTypeDevice, device};
  TERN_TRY(ToStatus(cudaMemPoolCreate(&context->pool_, &props), "cudaMemPoolCreate"));
  uint64_t keep = UINT64_MAX;  // freed memory stays with the pool
  TERN_TRY(ToStatus(cudaMemPoolSetAttribute(context->pool_, cudaMemPoolAttrReleaseThreshold, &keep),
                    "cudaMemPoolSetAttribute"));
  context->stages_.resize(kStages);
  for (Stage& stage : context->stages_) {
    TERN_TRY(stage.buffer.Reserve(kStageBytes));
    TERN_TRY(
        ToStatus(cudaEventCreateWithFlags(&stage.free, cudaEventDisableTiming), "cudaEventCreate"));
  }
  return context;
}

DeviceContext::~DeviceContext() {
  MakeCurrent();
  if (stream_ != nullptr) (void)cudaStreamSynchronize(stream_);
  for (const Stage& stage : stages_)
    if (stage.free != nullptr) (void)cudaEventDestroy(stage.free);
  if (pool_ != nullptr) (void)cudaMemPoolDestroy(pool_);
  if (stream_ != nullptr) (void)cudaStreamDestroy(stream_);
}

Result<Buffer> DeviceContext::Allocate(size_t bytes) {
  MakeCurrent();
  void* data = nullptr;
  const auto what = [&] {
    return fmt::format("{} bytes on CUDA device {}, of which {} are free", bytes, device_.index,
                       FreeMemory());
  };
  if (bytes > SIZE_MAX - kSlack) return Fail(Code::kResourceExhausted, "{}", what());
  const cudaError_t error = cudaMallocFromPoolAsync(&data, bytes + kSlack, pool_, stream_);
  if (error == cudaErrorMemoryAllocation) (void)cudaGetLastError();  // not sticky
  if (error != cudaSuccess) TERN_TRY(ToStatus(error, what()));
  TERN_TRY(ToStatus(cudaMemsetAsync(data, 0, bytes + kSlack, stream_), "cudaMemset"));
  ++generation_;
  return Buffer(data, bytes, [context = shared_from_this()](void* p) {
    context->MakeCurrent();
    ++context->generation_;
    (void)cudaFreeAsync(p, context->stream_);
  });
}

Result<Buffer> DeviceContext::AllocatePinned(size_t bytes) {
  MakeCurrent();
  auto pinned = std::make_shared<PinnedBuffer>();
  TERN_TRY(pinned->Reserve(std::max<size_t>(bytes, 1)));
  std::byte* const data = pinned->data();
  return Buffer(data, bytes, [context = shared_from_this(), pinned](void*) {
    context->MakeCurrent();
    (void)cudaDeviceSynchronize();
  });
}

uint64_t DeviceContext::FreeMemory() const {
  MakeCurrent();
  size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) return 0;
  const DeviceMemoryStats stats = MemoryStats();
  return free + (stats.reserved - stats.used);
}

DeviceMemoryStats DeviceContext::MemoryStats() const {
  DeviceMemoryStats stats;
  (void)cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrUsedMemCurrent, &stats.used);
  (void)cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrUsedMemHigh, &stats.used_peak);
  (void)cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, &stats.reserved);
  return stats;
}

Status DeviceContext::Upload(std::span<const std::byte> from, void* to) {
  MakeCurrent();
  auto* target = static_cast<std::byte*>(to);
  while (!from.empty()) {
    Stage& stage = stages_[next_stage_];
    next_stage_ = (next_stage_ + 1) % stages_.size();
    const size_t bytes = std::min(from.size(), stage.buffer.bytes());
    TERN_TRY(ToStatus(cudaEventSynchronize(stage.free), "upload"));
    std::memcpy(stage.buffer.data(), from.data(), bytes);
    TERN_TRY(ToStatus(
        cudaMemcpyAsync(target, stage.buffer.data(), bytes, cudaMemcpyHostToDevice, stream_),
        "upload"));
    TERN_TRY(ToStatus(cudaEventRecord(stage.free, stream_), "upload"));
    CountToDevice(bytes);
    from = from.subspan(bytes);
    target += bytes;
  }
  return {};
}

Status DeviceContext::Download(const void* from, std::span<std::byte> to) {
  TERN_TRY(Synchronize("operations before a download"));
  CountToHost(to.size());
  return ToStatus(cudaMemcpy(to.data(), from, to.size(), cudaMemcpyDeviceToHost), "download");
}

Status DeviceContext::Synchronize(std::string_view what) {
  MakeCurrent();
  NoteLaunch(what);
  const Status done = ToStatus(cudaStreamSynchronize(stream_), what);
  (void)cudaGetLastError();  // a device that is lost says so again
  TERN_TRY(std::exchange(fault_, Status()));
  return done;
}

void DeviceContext::NoteLaunch(std::string_view what) {
  if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess && fault_)
    fault_ = ToStatus(error, what);
}

}  // namespace tern::cuda
