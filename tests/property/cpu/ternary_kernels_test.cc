// Every kernel of the list against a triple loop, with `==`.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <numeric>

#include "backend/cpu/kernel_list.h"
#include "backend/cpu/pack.h"
#include "base/rng.h"

namespace tern::cpu {
namespace {

// Values and activations: random ones, and the extremes at which narrow accumulators overflow.
enum class Fill { kRandom, kAllPlusLow, kAllPlusHigh, kAllMinusLow, kAllMinusHigh };

struct Problem {
  int64_t n, k, m;
  int64_t group;  // 0: one scale a row
  Fill fill;
};

struct Data {
  std::vector<int8_t> w, x;  // (n, k), (m, stride)
  std::vector<float> scales, step;
  std::vector<int32_t> sums;
  int64_t stride, groups;
  TernaryMatrix matrix;
};

Data Make(const Problem& p) {
  Rng rng(static_cast<uint64_t>(p.n * 131 + p.k * 17 + p.m));
  Data d;
  d.stride = (p.k + 63) / 64 * 64;
  const int64_t group = p.group ? p.group : p.k;
  d.groups = p.k / group;
  const bool minus = p.fill == Fill::kAllMinusLow || p.fill == Fill::kAllMinusHigh;
  const bool low = p.fill == Fill::kAllPlusLow || p.fill == Fill::kAllMinusLow;
  for (int64_t i = 0; i < p.n * p.k; ++i)
    d.w.push_back(p.fill == Fill::kRandom
                      ? static_cast<int8_t>(static_cast<int>(rng.Next() % 3) - 1)
                      : static_cast<int8_t>(minus ? -1 : 1));
  d.x.assign(static_cast<size_t>(p.m * d.stride), 0);
  for (int64_t m = 0; m < p.m; ++m)
    for (int64_t k = 0; k < p.k; ++k)
      d.x[static_cast<size_t>(m * d.stride + k)] =
          p.fill == Fill::kRandom ? static_cast<int8_t>(static_cast<int>(rng.Next() % 256) - 128)
                                  : static_cast<int8_t>(low ? -128 : 127);
  for (int64_t m = 0; m < p.m; ++m) {
    for (int64_t g = 0; g < d.groups; ++g) {
      const auto begin = d.x.begin() + m * d.stride + g * group;
      d.sums.push_back(std::accumulate(begin, begin + group, int32_t{0}));
      d.step.push_back(static_cast<float>(rng.NextUnit()));
    }
  }
  ScaleSpec scale{p.group ? ScaleKind::kGroup : ScaleKind::kRow, p.group, {}};
  for (int64_t i = 0; i < p.n * d.groups; ++i)
    scale.values.push_back(static_cast<float>(rng.NextUnit()));
  d.scales = scale.values;
  d.matrix = TernaryMatrix::FromValues(p.n, p.k, d.w, scale).value();
  return d;
}

std::vector<float> TripleLoop(const Problem& p, const Data& d, const std::vector<float>* add_to) {
  const int64_t group = p.k / d.groups;
  std::vector<float> y;
  for (int64_t m = 0; m < p.m; ++m) {
    for (int64_t n = 0; n < p.n; ++n) {
      float total = 0;
      for (int64_t g = 0; g < d.groups; ++g) {
        int32_t sum = 0;
        for (int64_t k = g * group; k < (g + 1) * group; ++k)
          sum += d.x[static_cast<size_t>(m * d.stride + k)] * d.w[static_cast<size_t>(n * p.k + k)];
        const float part =
            static_cast<float>(sum) * (d.scales[static_cast<size_t>(n * d.groups + g)] *
                                       d.step[static_cast<size_t>(m * d.groups + g)]);
        total = g == 0 ? part : total + part;
      }
      if (add_to) total = (*add_to)[y.size()] + total;
      y.push_back(total);
    }
  }
  return y;
}

std::vector<float> RunKernel(const TernaryKernel& kernel, const Problem& p, const Data& d,
                             const PackedMatrix& packed, const std::vector<float>* add_to) {
  std::vector<float> y(static_cast<size_t>(p.m * p.n), -1.0f);
  if (add_to) y = *add_to;
  kernel.run({.codes = packed.codes.data(),
              .scales = packed.scales.data(),
              .x = d.x.data(),
              .step = d.step.data(),
              .sums = d.sums.data(),
              .y = y.data(),
              .x_stride = d.stride,
              .y_stride = p.n,
              .m = p.m,
              .n = p.n,
              .steps = packed.steps,
              .groups = packed.groups,
              .tile_begin = 0,
              .tile_end = packed.tiles(),
              .add = add_to != nullptr});
  return y;
}

// By its name; the address would differ from run to run.
struct Subject {
  const TernaryKernel* kernel;
};
void PrintTo(const Subject& subject, std::ostream* out) { *out << subject.kernel->name; }

class TernaryKernels : public testing::TestWithParam<Subject> {
 protected:
  void SetUp() override {
    if ((GetParam().kernel->needs & DetectCpu()) != GetParam().kernel->needs)
      GTEST_SKIP() << "this CPU lacks " << DescribeCpu(GetParam().kernel->needs & ~DetectCpu());
  }

  void Check(const Problem& p) {
    const Data d = Make(p);
    const auto packed = PackN16k4(d.matrix);
    ASSERT_TRUE(packed) << packed.error().message;
    EXPECT_EQ(RunKernel(*GetParam().kernel, p, d, *packed, nullptr), TripleLoop(p, d, nullptr))
        << "n " << p.n << " k " << p.k << " m " << p.m << " group " << p.group << " fill "
        << static_cast<int>(p.fill);
    const std::vector<float> before(static_cast<size_t>(p.m * p.n), 0.375f);
    EXPECT_EQ(RunKernel(*GetParam().kernel, p, d, *packed, &before), TripleLoop(p, d, &before))
        << "added";
  }
};

TEST_P(TernaryKernels, MatchATripleLoopAtEveryRemainderOfTheirTiles) {
  for (const int64_t n : {1, 15, 16, 17, 33, 80})
    for (const int64_t m : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65})
      Check({n, 200, m, 0, Fill::kRandom});
  for (int64_t k = 4; k <= 136; k += 4) Check({18, k, 3, 0, Fill::kRandom});
  Check({40, 6912, 5, 0, Fill::kRandom});
}

TEST_P(TernaryKernels, MatchATripleLoopWithScalesByGroup) {
  for (const int64_t group : {64, 128, 256})
    for (const int64_t m : {1, 3, 16, 21}) Check({35, 512, m, group, Fill::kRandom});
}

TEST_P(TernaryKernels, AreExactWhereNarrowAccumulatorsWouldOverflow) {
  for (const Fill fill :
       {Fill::kAllPlusLow, Fill::kAllPlusHigh, Fill::kAllMinusLow, Fill::kAllMinusHigh})
    for (const int64_t m : {1, 4, 19}) Check({16, 8640, m, 0, fill});
}

// The packed codes and the activations end at pages that can't be read.
TEST_P(TernaryKernels, ReadNothingBeyondTheirBuffers) {
  const Problem p{32, 256, 9, 0, Fill::kRandom};
  const Data d = Make(p);
  const PackedMatrix packed = PackN16k4(d.matrix).value();
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const auto guarded = [page](const void* data, size_t bytes) {
    const size_t span = (bytes + page - 1) / page * page;
    auto* base = static_cast<std::byte*>(
        ::mmap(nullptr, span + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    EXPECT_EQ(::mprotect(base + span, page, PROT_NONE), 0);
    std::memcpy(base + span - bytes, data, bytes);
    return base + span - bytes;
  };
  std::vector<float> y(static_cast<size_t>(p.m * p.n));
  GetParam().kernel->run(
      {.codes = reinterpret_cast<const uint8_t*>(guarded(packed.codes.data(), packed.codes.size())),
       .scales = packed.scales.data(),
       .x = reinterpret_cast<const int8_t*>(guarded(d.x.data(), d.x.size())),
       .step = d.step.data(),
       .sums = d.sums.data(),
       .y = y.data(),
       .x_stride = d.stride,
       .y_stride = p.n,
       .m = p.m,
       .n = p.n,
       .steps = packed.steps,
       .groups = 1,
       .tile_begin = 0,
       .tile_end = packed.tiles(),
       .add = false});
  EXPECT_EQ(y, TripleLoop(p, d, nullptr));
}

std::vector<Subject> Subjects() {
  std::vector<Subject> subjects;
  for (const TernaryKernel& kernel : AllKernels()) subjects.push_back({&kernel});
  return subjects;
}

INSTANTIATE_TEST_SUITE_P(All, TernaryKernels, testing::ValuesIn(Subjects()),
                         [](const auto& test) { return std::string(test.param.kernel->isa); });

TEST(PackN16k4, UnpacksToTheSameValues) {
  const Data d = Make({37, 200, 1, 0, Fill::kRandom});
  const PackedMatrix packed = PackN16k4(d.matrix).value();
  std::vector<int8_t> row(200);
  for (int64_t r = 0; r < 37; ++r) {
    UnpackRow(packed, r, row.data());
    EXPECT_TRUE(std::equal(row.begin(), row.end(), d.w.begin() + r * 200)) << r;
  }
}

TEST(SelectKernel, TellsWhyTheOthersWereNotTaken) {
  const Choice choice = SelectKernel(1, 0, "");
  ASSERT_NE(choice.kernel, nullptr);
  EXPECT_EQ(choice.kernel->isa, "scalar");
  EXPECT_EQ(choice.why_not.size(), AllKernels().size() - 1);
  for (const Rejection& rejection : choice.why_not)
    EXPECT_NE(rejection.reason.find("this CPU lacks"), std::string::npos);
}

TEST(ForcedIsa, OfAnUnknownNameIsAnErrorThatListsTheKnown) {
  ::setenv("TERN_FORCE_ISA", "z80", 1);
  const auto forced = ForcedIsa(DetectCpu());
  ::unsetenv("TERN_FORCE_ISA");
  ASSERT_FALSE(forced);
  EXPECT_NE(forced.error().message.find("'z80'"), std::string::npos);
  EXPECT_NE(forced.error().message.find("scalar"), std::string::npos);
}

}  // namespace
}  // namespace tern::cpu
