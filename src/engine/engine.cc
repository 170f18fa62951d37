#include "engine/engine.h"

#include <algorithm>

#include "engine/benchmark.h"
#include "engine/engine_loop.h"
#include "engine/grammar_constraint.h"
#include "platform/machine.h"

namespace tern {
namespace {

constexpr int64_t kMostSequences = 4096;
// Outputs of a pass for embeddings and guesses, at least.
constexpr int64_t kFewestLogitRows = 64;

int64_t LogitRows(const EngineOptions& options) {
  const int64_t guesses = options.draft_tokens > 0 ? options.max_sequences : 0;
  return std::min(std::max(options.max_sequences + guesses, kFewestLogitRows),
                  std::max(options.token_budget, options.max_sequences));
}

Status CheckOptions(const EngineOptions& options) {
  const struct {
    const char* name;
    int64_t value, low, high;
  } ranges[] = {
      {"max_sequences", options.max_sequences, 1, kMostSequences},
      {"max_queue", options.max_queue, 1, 1 << 20},
      {"token_budget", options.token_budget, 1, 1 << 16},
      {"kv_tokens", options.kv_tokens, 0, int64_t{1} << 36},
      {"draft_tokens", options.draft_tokens, 0, 64},
  };
  for (const auto& range : ranges)
    if (range.value < range.low || range.value > range.high)
      return Fail(Code::kInvalidArgument, "{}: found {}, expected {} to {}", range.name,
                  range.value, range.low, range.high);
  return {};
}

constexpr uint64_t kMostSwapMemory = uint64_t{4} << 30;

int64_t SwapSlots(Session& session, const EngineOptions& options) {
  const KvShape& shape = session.cache().shape();
  uint64_t bytes = 0;
  if (session.backend().free_memory())
    bytes = std::min({uint64_t{shape.bytes()}, AvailableMemory() / 8, kMostSwapMemory});
  const uint64_t block = session.cache().Block(0).bytes();
  return static_cast<int64_t>(
      std::min(options.swap_memory.value_or(bytes) / block, uint64_t{1} << 24));
}

void PublishModel(Session& session, MetricRegistry& registry) {
  const auto gauge = [&](const char* name, const char* help, uint64_t bytes) {
    registry.AddGauge({name, help, "bytes"}).Set(static_cast<double>(bytes));
  };
  gauge("tern_weights_bytes", "Packed weights.", session.model().WeightBytes());
  gauge("tern_kv_cache_bytes", "Room for keys and values.", session.cache().shape().bytes());
  registry
      .AddGauge({"tern_packed_cache_info", "What the cache of packed weights did for this load."},
                {{"use", std::string(CacheUseName(session.model().cache.use))}})
      .Set(1.0);
}

std::unique_ptr<PerformanceMonitor> NewMonitor(Session& session, const MonitorOptions& options) {
  auto monitor = std::make_unique<PerformanceMonitor>(options);
  const ModelCost cost = CostOf(session);
  monitor->SetCost({cost.weight_bytes, cost.kv_bytes});
  monitor->SetMemory([&backend = session.backend()] {
    std::vector<MemoryUse> uses;
    for (const BackendMemory& use : backend.memory())
      uses.push_back(
          {std::string(backend.name()), std::string(use.tier), use.live_bytes, use.reserved_bytes});
    return uses;
  });
  if (session.backend().transfers())
    monitor->SetTransfers([&backend = session.backend()] {
      const BackendTransfers sent = backend.transfers().value_or(BackendTransfers{});
      return Transfers{sent.to_device, sent.to_host};
    });
  // After the backend's workers: counters are those of the threads there are.
  monitor->SetHardware([hardware = std::make_shared<HardwareCounters>(HardwareCounters::Open())] {
    return hardware->Sample();
  });
  PublishModel(session, monitor->registry());
  monitor->Start();
  return monitor;
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::Create(std::unique_ptr<Backend> backend,
                                               const EngineOptions& options) {
  TERN_TRY(CheckOptions(options));
  SessionOptions session = options.session;
  session.need_tokenizer = true;
  session.max_rows = std::max(options.token_budget, options.max_sequences);
  session.logit_rows = LogitRows(options);
  session.sequences = options.max_sequences;
  session.kv_positions = options.kv_tokens;
  session.memory_budget = options.memory_budget;
  session.free_memory = AvailableMemory();
  TERN_ASSIGN_OR_RETURN(auto opened, Session::Open(std::move(backend), session));
  return std::unique_ptr<Engine>(new Engine(std::move(opened), options));
}

Engine::Engine(std::unique_ptr<Session> session, const EngineOptions& options)
    : session_(std::move(session)) {
  const KvShape& shape = session_->cache().shape();
  context_ = std::min(session_->context(), shape.positions());
  const int64_t rows = session_->decoder().max_rows();
  if (options.monitor) monitor_ = NewMonitor(*session_, options.monitoring);
  swap_ = std::make_unique<KvSwap>(session_->cache(), SwapSlots(*session_, options));
  const LoopParts parts{.executor = session_->decoder(),
                        .cache = session_->cache(),
                        .tokenizer = *session_->tokenizer(),
                        .vocab = session_->model().config.vocab,
                        .constrain = MakeGrammarConstraints(*session_->tokenizer()),
                        .monitor = monitor_.get(),
                        .swap = swap_.get()};
  loop_ = std::make_unique<EngineLoop>(
      parts, LoopOptions{.scheduler = {.blocks = shape.blocks,
                                       .token_budget = rows,
                                       .logit_rows = std::min(rows, LogitRows(options)),
                                       .max_sequences = std::min(rows, options.max_sequences),
                                       .context = context_,
                                       .prefix_cache = options.prefix_cache,
                                       .swap_slots = swap_->slots()},
                         .max_queue = options.max_queue,
                         .draft_tokens = options.draft_tokens,
                         .stall_limit = options.stall_limit});
}

Engine::~Engine() = default;

Result<RequestHandle> Engine::Submit(Request request) { return loop_->Submit(std::move(request)); }

Result<std::vector<std::vector<float>>> Engine::Embed(std::vector<std::vector<TokenId>> inputs) {
  return loop_->Embed(std::move(inputs));
}

Status Engine::Drain(std::chrono::milliseconds patience) { return loop_->Drain(patience); }

EngineStats Engine::Stats() const { return loop_->Stats(); }

Status Engine::CheckIntegrity() const { return loop_->CheckIntegrity(); }

}  // namespace tern
