#include "model/plan.h"

#include "model/decoder.h"
#include "model/model.h"

namespace tern {
namespace {

std::string Shape(int64_t rows, int64_t cols) { return fmt::format("{} x {}", rows, cols); }

std::string Parts(const MatrixParts& parts) {
  std::string text;
  for (const auto& part : parts.matrices)
    text += (text.empty() ? "" : ", ") + Shape(part->rows(), part->cols());
  return parts.matrices.size() == 1 ? "one matrix of " + text
                                    : fmt::format("{} matrices: {}", parts.matrices.size(), text);
}

std::string DescribeHead(const Model& model) {
  const TokenTable& head = model.Head();
  return fmt::format("{}, {}", model.head ? "a table of its own" : "the embedding's table",
                     Shape(head.rows(), head.cols()));
}

std::string DescribeWeights(const CacheReport& cache) {
  switch (cache.use) {
    case CacheUse::kMapped:
      return "mapped from " + cache.file;
    case CacheUse::kCopied:
      return "copied from " + cache.file;
    case CacheUse::kWritten:
      return "packed, and kept in " + cache.file;
    default:
      return fmt::format("packed (cache: {})", CacheUseName(cache.use));
  }
}

std::string_view KvName(KvType type) {
  switch (type) {
    case KvType::kF32:
      return "f32";
    case KvType::kF16:
      return "f16";
    case KvType::kBf16:
      return "bf16";
    case KvType::kInt8:
      return "int8";
  }
  return "";
}

std::string DescribeRange(const KernelRange& range) {
  if (range.last_rows == 0 && range.first_rows == 1) return "any rows";
  if (range.last_rows == 0) return fmt::format("{} rows and more", range.first_rows);
  if (range.last_rows == range.first_rows)
    return fmt::format("{} row{}", range.first_rows, range.first_rows == 1 ? "" : "s");
  return fmt::format("{} to {} rows", range.first_rows, range.last_rows);
}

std::string DescribeThreads(const ThreadLayout& threads) {
  return fmt::format("outputs of a layer in {} parts on {} thread{}{}", threads.parts,
                     threads.workers, threads.workers == 1 ? "" : "s",
                     threads.pinned ? ", workers pinned" : "");
}

}  // namespace

ExecutionPlan MakePlan(const Model& model, const Backend& backend, const DecoderOptions& options) {
  ExecutionPlan plan;
  plan.level = options.level;
  plan.activations = options.activations;
  plan.fused_norm_quantize = options.level == OptimizationLevel::kAggressive;
  plan.kv = options.kv;
  plan.max_rows = options.max_rows;
  plan.positions = options.max_positions > 0 ? options.max_positions : model.config.context;
  plan.backend = backend.name();
  plan.threads = backend.thread_layout();
  plan.kernels = backend.kernel_ranges();
  if (!model.layers.empty()) {
    plan.qkv = Parts(model.layers[0].qkv);
    plan.gate_up = Parts(model.layers[0].gate_up);
    plan.fused_gate = model.layers[0].gate_up.matrices.size() == 1;
  }
  plan.head = DescribeHead(model);
  plan.weights = DescribeWeights(model.cache);
  plan.layers = model.config.layers;
  plan.weight_bytes = model.WeightBytes();
  return plan;
}

std::vector<PlanLine> DescribePlan(const ExecutionPlan& plan) {
  std::vector<PlanLine> lines = {
      {"optimisation", std::string(OptimizationName(plan.level))},
      {"backend", plan.backend},
      {"threads", DescribeThreads(plan.threads)},
  };
  for (const KernelRange& range : plan.kernels)
    lines.push_back({"kernel, " + DescribeRange(range), range.kernel});
  lines.insert(
      lines.end(),
      {{"activations", plan.activations == ActivationType::kInt8 ? "int8" : "float"},
       {"query, key, value", plan.qkv},
       {"gate, up", plan.gate_up},
       {"norm, quantise", plan.fused_norm_quantize ? "one operation" : "two operations"},
       {"gated activation", plan.fused_gate ? "with gate and up" : "an operation of its own"},
       {"head", plan.head},
       {"weights", plan.streamed_layers > 0
                       ? fmt::format("{}; {} of {} layers come from the host in every pass",
                                     plan.weights, plan.streamed_layers, plan.layers)
                       : plan.weights},
       {"batch", fmt::format("up to {} rows a pass", plan.max_rows)},
       {"context",
        fmt::format("{} positions of {} keys and values", plan.positions, KvName(plan.kv))}});
  return lines;
}

}  // namespace tern
