// What a load and a decoder have decided about a model's forward pass; `tern info --plan` prints
// it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/optimization.h"

namespace tern {

struct Model;
struct DecoderOptions;

struct ExecutionPlan {
  OptimizationLevel level = OptimizationLevel::kAggressive;
  ActivationType activations = ActivationType::kInt8;

  // How matrices with the same input are packed, e.g. "one matrix of 3840 x 2560": LoadModel's
  // doing.
  std::string qkv, gate_up;
  // Norm and quantisation of a linear layer's input as one operation: the decoder's.
  bool fused_norm_quantize = true;
  // Gate and up projection with the gated activation as one.
  bool fused_gate = true;

  int64_t max_rows = 0;   // of one forward pass
  int64_t positions = 0;  // of the context
  KvType kv = KvType::kF16;
  std::string backend;
  ThreadLayout threads;
  std::vector<KernelRange> kernels;  // of the ternary layers, by rows
  std::string head;                  // e.g. "tied to the embedding, 4096 x 256"
  std::string weights;               // e.g. "mapped from FILE"
  int64_t layers = 0;
  int64_t streamed_layers = 0;  // of them come from the host in every pass: the session's
  uint64_t weight_bytes = 0;
};

/// The plan of a model that was loaded at the decoder's level.
ExecutionPlan MakePlan(const Model& model, const Backend& backend, const DecoderOptions& options);

/// One decision, for people.
struct PlanLine {
  std::string step;    // "query, key, value"
  std::string choice;  // "one matrix of 3840 x 2560"
};
std::vector<PlanLine> DescribePlan(const ExecutionPlan& plan);

}  // namespace tern
