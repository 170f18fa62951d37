// A GPU that is lost is an error of every pass from then on, and never the end of the process.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "registry/registry.h"

namespace tern {
namespace {

// Returns what went wrong.
const char* LoseDevice() {
  auto backend = CreateBackend("cuda", {});
  if (!backend) return "no backend";
  const auto memory = (*backend)->Allocate(1024);
  if (!memory) return "no memory";
  // No address of the device.
  auto* nowhere = reinterpret_cast<float*>(uintptr_t{0x100});
  (*backend)->GatedActivation({nowhere, 1, 64}, GateFunction::kReluSquared, {nowhere, 1, 32});
  for (int i = 0; i < 2; ++i) {
    const Status lost = (*backend)->Synchronize();
    if (lost) return "the fault was not noticed";
    std::fprintf(stderr, "%s\n", lost.error().message.c_str());
    if (lost.error().code != Code::kDevice) return "the fault has another code";
  }
  const int32_t zero = 0;
  const BlockId block = 0;
  const std::span<const BlockId> table(&block, 1);
  const auto pass = (*backend)->BeginPass(
      {.tokens = {&zero, 1}, .step = {{&zero, 1}, {&zero, 1}, {&table, 1}}, .logit_rows = {}});
  if (pass || pass.error().code != Code::kDevice) return "a pass began";
  std::byte bytes[16];
  if ((*backend)->Read(memory->as<void>(), bytes)) return "memory was read";
  if ((*backend)->Allocate(1024)) return "memory was given";
  return nullptr;
}

// In a process of its own: nothing on the device works any more afterwards.
TEST(Gpu, ALostDeviceIsAnErrorOfEveryCall) {
  const auto there = CreateBackend("cuda", {});
  if (!there) GTEST_SKIP() << there.error().message;
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        const char* wrong = LoseDevice();
        std::fprintf(stderr, "%s\n", wrong ? wrong : "all calls failed");
        std::exit(wrong ? 1 : 0);
      },
      testing::ExitedWithCode(0), "all calls failed");
}

}  // namespace
}  // namespace tern
