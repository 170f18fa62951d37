// One run taken apart: every operation of a prefill and of a decode with its time, beside what the
// machine could do.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backend/trace/trace_backend.h"
#include "engine/benchmark.h"
#include "engine/session.h"
#include "perf/limits.h"

namespace tern {

/// Keeps operations while it is on. Thread rule: one thread.
class OpRecorder final : public OpObserver {
 public:
  bool wants_ops() const noexcept override { return on_; }
  void OnOp(const OpCall& call) noexcept override { calls_.push_back(call); }

  void Start() { on_ = true; }
  std::vector<OpCall> Stop();

 private:
  bool on_ = false;
  std::vector<OpCall> calls_;
};

/// Measured limits of the machine with as many threads as the run has; 0: not known.
struct ProfileLimits {
  struct Peak {
    std::string name;                       // "int8 amx"
    double tops = 0;                        // 1e12 multiplications and additions a second
    int64_t first_rows = 1, last_rows = 0;  // of the inputs of layers that it is for; 0: any more
  };

  double stream = 0;        // 1e9 bytes a second that are read from where the weights lie
  std::string stream_name;  // "dram read", or "cache read" when a cache holds them
  std::vector<Peak> int8;   // of the kernels that layers get
  Peak float32, bfloat16;

  /// nullptr when none is known.
  const Peak* For(const OpCost& cost, int64_t rows) const;
};

/// The part of the model before its layers and after them.
inline constexpr const char* kEndsPart = "embedding, head";

/// What an operation is to the model.
struct OpRole {
  std::string name;  // "linear qkv", "norm gate_up": the norm before it
  std::string part;  // "attention", "feed-forward" or kEndsPart
};

/// An operation, its role and the least time that the limits allow it.
struct ProfiledOp {
  OpCall call;
  OpRole role;
  double memory_seconds = 0;   // its bytes at the limit of the stream
  double compute_seconds = 0;  // its operations at the peak
};

/// Prefill or decode.
struct ProfilePhase {
  std::string name;  // "prefill", "decode"
  BenchmarkTest test;
  std::vector<double> pass_seconds;  // of each forward pass, from outside
  double untraced_seconds = 0;       // of the fastest run without a clock around each operation
  std::vector<ProfiledOp> ops;       // in order

  double Seconds() const;  // of all passes
};

struct Profile {
  BenchmarkSubject subject;
  ProfileLimits limits;
  std::vector<ProfilePhase> phases;
};

struct ProfileOptions {
  int64_t prompt = 512, generate = 64;  // tokens; 0: no such phase
  int64_t depth = 0;                    // tokens in the cache before each
  int64_t sequences = 1;                // that are decoded at once
  int repetitions = 3;                  // of each phase; the fastest is the profile's
  uint64_t seed = 1;                    // of the random token ids
};

/// Called before each run of a phase ("prefill: warm-up"); returning false stops.
using ProfileProgress = std::function<bool(const std::string&)>;

/// Each phase once to warm up, then without a clock inside and with one by turns. The session's
/// backend is one that CreateTraceBackend made for the recorder. Errors: as RunBenchmark; kInternal
/// also when the clock changes a logit.
Result<Profile> RunProfile(Session& session, OpRecorder& recorder, const BenchmarkSubject& subject,
                           const ProfileLimits& limits, const ProfileOptions& options,
                           const ProfileProgress& progress = {});

/// Whether limits of the CPUs are those of the backend.
inline bool ComputesOnCpus(const Backend& backend) {
  return backend.name() == "cpu" || backend.name() == "reference";
}

/// Limits of this machine's CPUs for a session that computes on them: the stream from where its
/// weights lie, the int8 peaks of the kernels that its layers get, the float peaks. Takes a second
/// or two.
ProfileLimits MeasureProfileLimits(Session& session, const ProfileOptions& options,
                                   const LimitOptions& measure = {});

/// The operations of whole forward passes with their roles in the model and their limits.
std::vector<ProfiledOp> Assign(const Model& model, const ProfileLimits& limits,
                               const std::vector<OpCall>& calls);

}  // namespace tern
