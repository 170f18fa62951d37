#include "backend/cuda/pass_recorder.h"

#include <algorithm>

namespace tern::cuda {

Result<PassRecorder::Action> PassRecorder::Begin(DeviceContext& context, const PassShape& shape) {
  if (generation_ != context.generation()) recordings_.clear();
  generation_ = context.generation();
  const auto [at, is_new] = recordings_.try_emplace(shape);
  at->second.used = ++clock_;
  if (is_new) {
    if (recordings_.size() > kMaxRecordings)
      recordings_.erase(std::min_element(
          recordings_.begin(), recordings_.end(),
          [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
    return Action::kRun;
  }
  if (at->second.graph) {
    TERN_TRY(ToStatus(cudaGraphLaunch(at->second.graph.get(), context.stream()),
                      "launching a recorded pass"));
    return Action::kReplayed;
  }
  current_ = shape;
  TERN_TRY(ToStatus(cudaStreamBeginCapture(context.stream(), cudaStreamCaptureModeThreadLocal),
                    "recording a pass"));
  return Action::kRecord;
}

Status PassRecorder::EndRecording(DeviceContext& context) {
  cudaGraph_t graph = nullptr;
  TERN_TRY(ToStatus(cudaStreamEndCapture(context.stream(), &graph), "recording a pass"));
  cudaGraphExec_t executable = nullptr;
  const cudaError_t error = cudaGraphInstantiate(&executable, graph, 0);
  (void)cudaGraphDestroy(graph);
  TERN_TRY(ToStatus(error, "recording a pass"));
  recordings_[current_].graph.reset(executable);
  return ToStatus(cudaGraphLaunch(executable, context.stream()), "launching a recorded pass");
}

}  // namespace tern::cuda
