// Every backend and every instruction set, each beside the reference backend; and some of them with
// a clock around every operation. Data goes through the backend's own memory.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/cpu/kernel_list.h"
#include "backend/reference/reference_backend.h"
#include "backend/trace/trace_backend.h"
#include "base/rng.h"
#include "registry/registry.h"

namespace tern::test {

struct Subject {
  std::string backend, isa;  // "" where the backend has no choice
  int threads;
  bool traced = false;
  OptimizationLevel level = OptimizationLevel::kAggressive;
};

class IdleObserver final : public OpObserver {
 public:
  bool wants_ops() const noexcept override { return true; }
  void OnOp(const OpCall&) noexcept override {}
};

inline void PrintTo(const Subject& subject, std::ostream* out) {
  *out << subject.backend << ", " << subject.isa << ", " << subject.threads << " threads"
       << (subject.traced ? ", traced" : "") << ", level " << OptimizationName(subject.level);
}

inline std::vector<Subject> Subjects() {
  std::vector<Subject> subjects;
  for (const cpu::TernaryKernel& kernel : cpu::AllKernels())
    for (const int threads : {1, 3}) subjects.push_back({"cpu", std::string(kernel.isa), threads});
  for (const cpu::TernaryKernel* kernel : {&cpu::AllKernels().front(), &cpu::AllKernels().back()})
    subjects.push_back({"cpu", std::string(kernel->isa), 2, true});
  return subjects;
}

/// Skipped where there is no GPU. Instantiations named Gpu get the label of that name.
inline std::vector<Subject> GpuSubjects() {
  return {{"cuda", "", 1}, {"cuda", "", 1, false, OptimizationLevel::kNone}};
}

inline std::vector<float> Floats(size_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> out(n);
  for (float& v : out) v = static_cast<float>(rng.NextUnit() * 4 - 2);
  return out;
}

inline std::string SubjectName(const testing::TestParamInfo<Subject>& test) {
  if (test.param.isa.empty())
    return test.param.backend + "_" + std::string(OptimizationName(test.param.level));
  return test.param.backend + "_" + test.param.isa + "_" + std::to_string(test.param.threads) +
         "threads" + (test.param.traced ? "_traced" : "");
}

/// Values in a backend's memory, between guards that may not change.
template <class T>
class BackendArray {
 public:
  BackendArray(Backend& backend, std::span<const T> values)
      : backend_(backend), size_(values.size()) {
    std::vector<std::byte> bytes(2 * kGuard + values.size_bytes(), kPattern);
    if (size_ > 0) std::memcpy(bytes.data() + kGuard, values.data(), values.size_bytes());
    auto buffer = backend.Allocate(bytes.size());
    EXPECT_TRUE(buffer) << buffer.error().message;
    buffer_ = std::move(*buffer);
    backend.Write(bytes, buffer_.template as<void>());
  }
  BackendArray(Backend& backend, const std::vector<T>& values)
      : BackendArray(backend, std::span<const T>(values)) {}
  BackendArray(const BackendArray&) = delete;
  BackendArray& operator=(const BackendArray&) = delete;
  ~BackendArray() {
    const std::vector<std::byte> all = Bytes();
    const auto untouched = [&](size_t from) {
      return std::all_of(all.begin() + static_cast<std::ptrdiff_t>(from),
                         all.begin() + static_cast<std::ptrdiff_t>(from + kGuard),
                         [](std::byte b) { return b == kPattern; });
    };
    EXPECT_TRUE(untouched(0)) << "written before the front";
    EXPECT_TRUE(untouched(all.size() - kGuard)) << "written behind the end";
  }

  T* data() const { return reinterpret_cast<T*>(buffer_.template as<std::byte>() + kGuard); }
  /// After all operations so far.
  std::vector<T> Read() const {
    const std::vector<std::byte> all = Bytes();
    std::vector<T> values(size_);
    if (size_ > 0) std::memcpy(values.data(), all.data() + kGuard, size_ * sizeof(T));
    return values;
  }

 private:
  static constexpr size_t kGuard = 256;  // keeps the alignment
  static constexpr std::byte kPattern{0x5a};

  std::vector<std::byte> Bytes() const {
    std::vector<std::byte> all(buffer_.bytes());
    const Status read = backend_.Read(buffer_.template as<void>(), all);
    EXPECT_TRUE(read) << read.error().message;
    return all;
  }

  Backend& backend_;
  size_t size_;
  Buffer buffer_;
};

class BackendConformance : public testing::TestWithParam<Subject> {
 protected:
  void SetUp() override {
    ::setenv("TERN_FORCE_ISA", GetParam().isa.c_str(), 1);
    auto made = CreateBackend(GetParam().backend,
                              {.threads = GetParam().threads, .level = GetParam().level});
    ::unsetenv("TERN_FORCE_ISA");
    if (!made) GTEST_SKIP() << made.error().message;
    backend_ = std::move(*made);
    if (GetParam().traced) backend_ = CreateTraceBackend(std::move(backend_), observer_);
    reference_ = CreateReferenceBackend(1);
  }

  /// Whether float sums have an order of the backend's own, and its cache a layout.
  bool own_order() const { return GetParam().backend == "cuda"; }

  /// The same bits; from a backend with its own order, where the operation has float sums (or a
  /// function such as exp) at all, up to `rounding` of the largest value.
  void ExpectSame(std::span<const float> got, std::span<const float> want, double rounding = 0) {
    ASSERT_EQ(got.size(), want.size());
    double largest = 0;
    for (const float w : want)
      if (std::isfinite(w)) largest = std::max(largest, std::fabs(double{w}));
    const double most = own_order() ? rounding * largest : 0;
    size_t different = 0, first = 0;
    double worst = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      const double error = std::fabs(double{got[i]} - want[i]);
      if (std::isfinite(error)) worst = std::max(worst, error);
      const bool same = most > 0 ? error <= most || (std::isnan(got[i]) && std::isnan(want[i])) ||
                                       got[i] == want[i]
                                 : std::memcmp(&got[i], &want[i], sizeof(float)) == 0;
      if (!same && different++ == 0) first = i;
    }
    EXPECT_EQ(different, 0u) << "of " << want.size() << ", the first at " << first << ": "
                             << got[first] << ", expected " << want[first] << "; largest value "
                             << largest << ", largest difference " << worst;
  }

  /// Runs on both and compares all floats that the operation may write.
  template <class Run>
  void Same(const std::vector<float>& initial, Run run, double rounding = 0) {
    const auto on = [&](Backend& backend) {
      const BackendArray<float> y(backend, initial);
      run(backend, y.data());
      return y.Read();
    };
    ExpectSame(on(*backend_), on(*reference_), rounding);
  }

  IdleObserver observer_;
  std::unique_ptr<Backend> backend_, reference_;
};

}  // namespace tern::test
