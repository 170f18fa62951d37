// What an engine has timed, on its way to the monitor.
#pragma once

#include <array>
#include <cstdint>

#include "perf/monitor.h"

namespace tern {

/// Gathers passes and tokens and hands them on many at a time. Weights sweep the caches at each
/// pass, so every place that the monitor touches is a trip to memory then: 6 us a pass, 2% of the
/// built-in model's; together they take 60 ns each. Thread rule: one owner.
class PassLog {
 public:
  /// Null: forgets everything.
  explicit PassLog(PerformanceMonitor* monitor) : monitor_(monitor) {}

  void AddPass(const ForwardPass& pass) {
    if (monitor_ == nullptr) return;
    passes_[pass_count_++] = pass;
    if (pass_count_ == passes_.size() || pass.end - passes_[0].end > kPatience) Flush();
  }
  void AddBetweenTokens(double seconds, int64_t times) {
    if (monitor_ == nullptr) return;
    tokens_[token_count_++] = {seconds, times};
    if (token_count_ == tokens_.size()) Flush();
  }

  /// Afterwards the monitor knows everything.
  void Flush() {
    for (size_t i = 0; i < pass_count_; ++i) monitor_->RecordPass(passes_[i]);
    for (size_t i = 0; i < token_count_; ++i)
      monitor_->RecordBetweenTokens(tokens_[i].seconds, static_cast<uint64_t>(tokens_[i].times));
    pass_count_ = token_count_ = 0;
  }

 private:
  static constexpr double kPatience = 0.25;  // seconds
  struct Tokens {
    double seconds;
    int64_t times;
  };

  PerformanceMonitor* const monitor_;
  std::array<ForwardPass, 64> passes_ = {};
  std::array<Tokens, 512> tokens_ = {};
  size_t pass_count_ = 0, token_count_ = 0;
};

}  // namespace tern
