// Every backend and every instruction set, each beside the reference backend; and some of them with
// a clock around every operation.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "backend/cpu/kernel_list.h"
#include "backend/reference/reference_backend.h"
#include "backend/trace/trace_backend.h"
#include "base/rng.h"
#include "registry/registry.h"

namespace tern::test {

struct Subject {
  std::string backend, isa;
  int threads;
  bool traced = false;
};

class IdleObserver final : public OpObserver {
 public:
  bool wants_ops() const noexcept override { return true; }
  void OnOp(const OpCall&) noexcept override {}
};

inline void PrintTo(const Subject& subject, std::ostream* out) {
  *out << subject.backend << ", " << subject.isa << ", " << subject.threads << " threads"
       << (subject.traced ? ", traced" : "");
}

inline std::vector<Subject> Subjects() {
  std::vector<Subject> subjects;
  for (const cpu::TernaryKernel& kernel : cpu::AllKernels())
    for (const int threads : {1, 3}) subjects.push_back({"cpu", std::string(kernel.isa), threads});
  for (const cpu::TernaryKernel* kernel : {&cpu::AllKernels().front(), &cpu::AllKernels().back()})
    subjects.push_back({"cpu", std::string(kernel->isa), 2, true});
  return subjects;
}

inline std::vector<float> Floats(size_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> out(n);
  for (float& v : out) v = static_cast<float>(rng.NextUnit() * 4 - 2);
  return out;
}

inline std::string SubjectName(const testing::TestParamInfo<Subject>& test) {
  return test.param.backend + "_" + test.param.isa + "_" + std::to_string(test.param.threads) +
         "threads" + (test.param.traced ? "_traced" : "");
}

class BackendConformance : public testing::TestWithParam<Subject> {
 protected:
  void SetUp() override {
    ::setenv("TERN_FORCE_ISA", GetParam().isa.c_str(), 1);
    auto made = CreateBackend(GetParam().backend, {.threads = GetParam().threads});
    ::unsetenv("TERN_FORCE_ISA");
    if (!made) GTEST_SKIP() << made.error().message;
    backend_ = std::move(*made);
    if (GetParam().traced) backend_ = CreateTraceBackend(std::move(backend_), observer_);
    reference_ = CreateReferenceBackend(1);
  }

  // Runs on both and compares all floats that the operation may write.
  template <class Run>
  void Same(std::vector<float> initial, Run run) {
    std::vector<float> got = initial, want = std::move(initial);
    run(*backend_, got.data());
    run(*reference_, want.data());
    EXPECT_EQ(std::memcmp(got.data(), want.data(), got.size() * sizeof(float)), 0);
  }

  IdleObserver observer_;
  std::unique_ptr<Backend> backend_, reference_;
};

}  // namespace tern::test
