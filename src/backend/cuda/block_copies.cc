#include "backend/cuda/block_copies.h"

#include <algorithm>

namespace tern::cuda {
namespace {

Status Check(cudaError_t error) { return ToStatus(error, "a block between device and host"); }

}  // namespace

Result<std::unique_ptr<BlockCopies>> BlockCopies::Create(std::shared_ptr<DeviceContext> context) {
  std::unique_ptr<BlockCopies> copies(new BlockCopies(std::move(context)));
  copies->context_->MakeCurrent();
  TERN_TRY(Check(cudaStreamCreateWithFlags(&copies->stream_, cudaStreamNonBlocking)));
  TERN_TRY(Check(cudaEventCreateWithFlags(&copies->before_, cudaEventDisableTiming)));
  return copies;
}

BlockCopies::~BlockCopies() {
  context_->MakeCurrent();
  if (stream_ != nullptr) (void)cudaStreamSynchronize(stream_);
  for (const Arrival& arrival : under_way_) spare_events_.push_back(arrival.event);
  for (const Stage& stage : stages_)
    for (const cudaEvent_t event : {stage.full, stage.empty}) spare_events_.push_back(event);
  spare_events_.push_back(before_);
  for (const cudaEvent_t event : spare_events_)
    if (event != nullptr) (void)cudaEventDestroy(event);
  if (stream_ != nullptr) (void)cudaStreamDestroy(stream_);
}

Result<cudaEvent_t> BlockCopies::NewEvent() {
  cudaEvent_t event = nullptr;
  if (!spare_events_.empty()) {
    event = spare_events_.back();
    spare_events_.pop_back();
    return event;
  }
  TERN_TRY(Check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming)));
  return event;
}

Status BlockCopies::Prepare(size_t bytes) {
  if (bytes <= stage_bytes_) return {};
  const size_t count = std::clamp<size_t>(kStageBytes / bytes, 2, kMostStages);
  while (stages_.size() < count) {
    Stage& stage = stages_.emplace_back();
    for (cudaEvent_t* event : {&stage.full, &stage.empty}) {
      TERN_ASSIGN_OR_RETURN(*event, NewEvent());
    }
  }
  // What still leaves through the old ones has to be gone first.
  TERN_TRY(Check(cudaStreamSynchronize(stream_)));
  for (Stage& stage : stages_) {
    TERN_ASSIGN_OR_RETURN(stage.memory, context_->Allocate(bytes));
  }
  stage_bytes_ = bytes;
  return {};
}

Status BlockCopies::Out(const StridedBytes& from, std::byte* to) {
  context_->MakeCurrent();
  TERN_TRY(Prepare(from.bytes()));
  Stage& stage = stages_[next_stage_];
  next_stage_ = (next_stage_ + 1) % stages_.size();
  const auto rows = static_cast<size_t>(from.rows);
  TERN_TRY(Check(cudaStreamWaitEvent(context_->stream(), stage.empty, 0)));
  TERN_TRY(
      Check(cudaMemcpy2DAsync(stage.memory.as<void>(), from.row_bytes, from.data, from.stride,
                              from.row_bytes, rows, cudaMemcpyDeviceToDevice, context_->stream())));
  TERN_TRY(Check(cudaEventRecord(stage.full, context_->stream())));
  TERN_TRY(Check(cudaStreamWaitEvent(stream_, stage.full, 0)));
  TERN_TRY(Check(
      cudaMemcpyAsync(to, stage.memory.as<void>(), from.bytes(), cudaMemcpyDeviceToHost, stream_)));
  context_->CountToHost(from.bytes());
  return Check(cudaEventRecord(stage.empty, stream_));
}

Result<uint64_t> BlockCopies::In(const std::byte* from, const StridedBytes& to) {
  context_->MakeCurrent();
  TERN_TRY(Check(cudaEventRecord(before_, context_->stream())));
  TERN_TRY(Check(cudaStreamWaitEvent(stream_, before_, 0)));
  TERN_TRY(Check(cudaMemcpy2DAsync(to.data, to.stride, from, to.row_bytes, to.row_bytes,
                                   static_cast<size_t>(to.rows), cudaMemcpyHostToDevice, stream_)));
  context_->CountToDevice(to.bytes());
  TERN_ASSIGN_OR_RETURN(const cudaEvent_t event, NewEvent());
  under_way_.push_back({++last_copy_, event});
  TERN_TRY(Check(cudaEventRecord(event, stream_)));
  return last_copy_;
}

bool BlockCopies::HasArrived(uint64_t copy) {
  context_->MakeCurrent();
  while (!under_way_.empty()) {
    const cudaError_t state = cudaEventQuery(under_way_.front().event);
    if (state == cudaErrorNotReady) (void)cudaGetLastError();  // no fault
    if (state != cudaSuccess) break;
    arrived_ = under_way_.front().copy;
    spare_events_.push_back(under_way_.front().event);
    under_way_.pop_front();
  }
  return copy <= arrived_;
}

Status BlockCopies::Await() {
  if (under_way_.empty()) return {};
  context_->MakeCurrent();
  return Check(cudaStreamWaitEvent(context_->stream(), under_way_.back().event, 0));
}

}  // namespace tern::cuda
