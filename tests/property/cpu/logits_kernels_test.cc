// Every kernel of the output head against decoding and a plain loop, with `==`.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <numeric>

#include "backend/cpu/logits_list.h"
#include "base/float16.h"
#include "base/math.h"
#include "base/rng.h"
#include "tensor/dense_matrix.h"
#include "tensor/ternary_matrix.h"

namespace tern::cpu {
namespace {

constexpr int64_t kMaxRowsOfX = 67;

std::vector<float> Floats(int64_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> out(static_cast<size_t>(n));
  for (float& v : out) v = static_cast<float>(rng.NextUnit() * 4 - 2);
  return out;
}

// Bytes that end at a page that can't be read. Unmapped with the process.
const uint8_t* Guarded(const void* data, size_t bytes) {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t span = (bytes + page - 1) / page * page;
  auto* base = static_cast<uint8_t*>(
      ::mmap(nullptr, span + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  EXPECT_EQ(::mprotect(base + span, page, PROT_NONE), 0);
  std::memcpy(base + span - bytes, data, bytes);
  return base + span - bytes;
}

// Rows of one format with the floats that they stand for.
struct Table {
  std::vector<uint8_t> bytes;
  std::vector<float> scales, values;
  LogitsArgs args = {};  // table, row_bytes, scales, scale_stride, group, k
};

// Random blocks: any bits are codes; binary16 scales get an exponent that keeps them finite.
Table DenseTable(DType type, int64_t rows, int64_t cols) {
  Table t;
  const DTypeInfo& info = Info(type);
  const uint64_t row_bytes = RowBytes(type, cols).value();
  Rng rng(static_cast<uint64_t>(rows * cols));
  for (uint64_t i = 0; i < row_bytes * static_cast<uint64_t>(rows); ++i)
    t.bytes.push_back(static_cast<uint8_t>(rng.Next()));
  const auto block = static_cast<size_t>(info.block_bytes);
  for (size_t at = 0; at < t.bytes.size(); at += block) {
    if (type == DType::kF16 || type == DType::kQ8_0 || type == DType::kQ4_0)
      t.bytes[at + 1] &= 0xbb;
    if (type == DType::kQ4_K) t.bytes[at + 1] &= 0xbb, t.bytes[at + 3] &= 0xbb;
    if (type == DType::kQ6_K) t.bytes[at + 209] &= 0xbb;
    if (type == DType::kBF16) t.bytes[at + 1] &= 0xbf;
    if (type == DType::kF32) t.bytes[at + 3] &= 0xbf;
  }
  t.values.resize(static_cast<size_t>(rows * cols));
  for (int64_t r = 0; r < rows; ++r)
    DecodeRow(
        type,
        reinterpret_cast<const std::byte*>(t.bytes.data()) + static_cast<size_t>(r) * row_bytes,
        std::span(t.values).subspan(static_cast<size_t>(r * cols), static_cast<size_t>(cols)));
  t.args.row_bytes = static_cast<int64_t>(row_bytes);
  t.args.k = cols;
  return t;
}

Table TernaryTable(int64_t rows, int64_t cols, int64_t group) {
  Table t;
  std::vector<int8_t> q(static_cast<size_t>(rows * cols));
  Rng rng(static_cast<uint64_t>(rows + cols));
  for (int8_t& v : q) v = static_cast<int8_t>(static_cast<int>(rng.Next() % 3) - 1);
  t.scales = Floats(rows * (cols / group), 3);
  const TernaryMatrix matrix =
      TernaryMatrix::FromValues(rows, cols, q, {ScaleKind::kGroup, group, t.scales}).value();
  t.values.resize(q.size());
  for (int64_t r = 0; r < rows; ++r) {
    const auto codes = matrix.RowCodes(r);
    t.bytes.insert(t.bytes.end(), codes.begin(), codes.end());
    matrix.DequantizeRow(
        r, std::span(t.values).subspan(static_cast<size_t>(r * cols), static_cast<size_t>(cols)));
  }
  t.args.row_bytes = static_cast<int64_t>(TernaryMatrix::RowBytes(cols));
  t.args.k = cols;
  t.args.group = group;
  t.args.scale_stride = cols / group;
  return t;
}

struct FloatSubject {
  const LogitsTarget* target;
};
void PrintTo(const FloatSubject& subject, std::ostream* out) { *out << subject.target->isa; }

class LogitsKernels : public testing::TestWithParam<FloatSubject> {
 protected:
  void SetUp() override {
    const CpuFeatures needs = GetParam().target->needs;
    if ((needs & DetectCpu()) != needs)
      GTEST_SKIP() << "this CPU lacks " << DescribeCpu(needs & ~DetectCpu());
  }

  // The table and x end at pages that can't be read.
  void Check(RowFormat format, const Table& table, std::initializer_list<int64_t> many_m) {
    const int64_t k = table.args.k, rows = static_cast<int64_t>(table.values.size()) / k;
    const auto all_x = Floats(kMaxRowsOfX * k, 5);
    const uint8_t* bytes = Guarded(table.bytes.data(), table.bytes.size());
    for (const int64_t m : many_m) {
      const size_t x_bytes = static_cast<size_t>(m * k) * sizeof(float);
      LogitsArgs args = table.args;
      args.table = bytes;
      args.scales = table.scales.data();
      args.x = reinterpret_cast<const float*>(Guarded(all_x.data(), x_bytes));
      args.x_stride = k;
      args.m = m;
      args.y_stride = rows + 1;
      args.begin = rows > 2 ? 1 : 0;  // a part, as a thread gets it
      args.end = rows;
      std::vector<float> got(static_cast<size_t>(m * args.y_stride), 77), want = got;
      args.y = got.data();
      GetParam().target->ops->of[static_cast<size_t>(format)](args);
      for (int64_t r = 0; r < m; ++r)
        for (int64_t n = args.begin; n < rows; ++n)
          want[static_cast<size_t>(r * args.y_stride + n)] =
              Dot(all_x.data() + r * k, table.values.data() + n * k, static_cast<size_t>(k));
      EXPECT_EQ(got, want) << "format " << static_cast<int>(format) << " rows " << rows << " k "
                           << k << " m " << m;
    }
  }
};

TEST_P(LogitsKernels, GiveTheBitsOfDecodedRowsForAnyNumberOfRows) {
  const std::pair<DType, RowFormat> types[] = {
      {DType::kF32, RowFormat::kF32},   {DType::kF16, RowFormat::kF16},
      {DType::kBF16, RowFormat::kBF16}, {DType::kQ8_0, RowFormat::kQ8_0},
      {DType::kQ4_0, RowFormat::kQ4_0}, {DType::kQ4_K, RowFormat::kQ4_K},
      {DType::kQ6_K, RowFormat::kQ6_K}};
  for (const auto& [type, format] : types) {
    const int64_t block = Info(type).block_elems;
    Check(format, DenseTable(type, 9, block * 2), {1, 2, 3, 4, 5, 6, 7, 12, 13, 64, 65, 67});
    for (int64_t rows = 1; rows <= 9; ++rows)
      Check(format, DenseTable(type, rows, block), {1, 2, 4, 8});
  }
  // More columns than are decoded at a time, in blocks that straddle the border.
  Check(RowFormat::kQ8_0, DenseTable(DType::kQ8_0, 5, 1056), {1, 5, 9});
  Check(RowFormat::kTernary, TernaryTable(5, 1200, 400), {1, 5, 9});
  Check(RowFormat::kTernary, TernaryTable(5, 1047, 1047), {1, 5, 9});
  Check(RowFormat::kTernary, TernaryTable(9, 256, 64), {1, 2, 3, 4, 5, 6, 7, 12, 13, 64, 65, 67});
}

TEST_P(LogitsKernels, GiveTheBitsOfDecodedRowsForAnyNumberOfColumns) {
  for (int64_t k = 1; k <= 49; ++k) {
    Check(RowFormat::kF32, DenseTable(DType::kF32, 6, k), {1, 2, 5});
    Check(RowFormat::kF16, DenseTable(DType::kF16, 6, k), {1, 2, 5});
    Check(RowFormat::kBF16, DenseTable(DType::kBF16, 6, k), {1, 2, 5});
    Check(RowFormat::kTernary, TernaryTable(6, k, k), {1, 2, 5});
  }
}

struct Int8Subject {
  const Int8LogitsKernel* kernel;
};
void PrintTo(const Int8Subject& subject, std::ostream* out) { *out << subject.kernel->name; }

// Weights and activations: random ones, and the extremes at which narrow accumulators overflow.
struct Fill {
  int weight, input;  // kRandom, or every value
};
constexpr int kRandom = 1000;

class Int8LogitsKernels : public testing::TestWithParam<Int8Subject> {
 protected:
  void SetUp() override {
    const CpuFeatures needs = GetParam().kernel->needs;
    if ((needs & DetectCpu()) != needs)
      GTEST_SKIP() << "this CPU lacks " << DescribeCpu(needs & ~DetectCpu());
  }

  void Check(int64_t n, int64_t k, int64_t m, Fill fill) {
    Rng rng(static_cast<uint64_t>(n * 131 + k * 17 + m));
    const auto value = [&rng](int fixed) {
      return static_cast<int8_t>(fixed == kRandom ? static_cast<int>(rng.Next() % 256) - 128
                                                  : fixed);
    };
    const int64_t stride = (k + 63) / 64 * 64, tiles = (n + 15) / 16;
    std::vector<int8_t> w(static_cast<size_t>(n * k)), x(static_cast<size_t>(m * stride), 0);
    for (int8_t& v : w) v = value(fill.weight);
    for (int64_t r = 0; r < m; ++r)
      for (int64_t c = 0; c < k; ++c) x[static_cast<size_t>(r * stride + c)] = value(fill.input);
    std::vector<uint8_t> codes(static_cast<size_t>(tiles * stride * 16), 255);
    for (int64_t r = 0; r < n; ++r)
      for (int64_t c = 0; c < k; ++c)
        codes[static_cast<size_t>(((r / 16 * (stride / 4) + c / 4) * 16 + r % 16) * 4 + c % 4)] =
            static_cast<uint8_t>(w[static_cast<size_t>(r * k + c)] + 128);
    const auto scales = Floats(tiles * 16, 7), step = Floats(m, 8);
    std::vector<int32_t> sums;
    std::vector<float> got(static_cast<size_t>(m * n), 77), want;
    for (int64_t r = 0; r < m; ++r) {
      const auto row = x.begin() + r * stride;
      sums.push_back(std::accumulate(row, row + k, int32_t{0}));
      for (int64_t o = 0; o < n; ++o)
        want.push_back(static_cast<float>(std::inner_product(row, row + k, w.begin() + o * k, 0)) *
                       (scales[static_cast<size_t>(o)] * step[static_cast<size_t>(r)]));
    }
    GetParam().kernel->run({.codes = Guarded(codes.data(), codes.size()),
                            .scales = scales.data(),
                            .x = reinterpret_cast<const int8_t*>(Guarded(x.data(), x.size())),
                            .step = step.data(),
                            .sums = sums.data(),
                            .y = got.data(),
                            .x_stride = stride,
                            .y_stride = n,
                            .m = m,
                            .n = n,
                            .planes = stride / 4,
                            .tile_begin = 0,
                            .tile_end = tiles});
    EXPECT_EQ(got, want) << "n " << n << " k " << k << " m " << m << " weights " << fill.weight
                         << " inputs " << fill.input;
  }
};

TEST_P(Int8LogitsKernels, MatchATripleLoopAtEveryRemainderOfTheirTiles) {
  for (const int64_t n : {1, 15, 16, 17, 33, 64, 79, 130})
    for (const int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 33})
      Check(n, 100, m, {kRandom, kRandom});
  for (int64_t k = 1; k <= 130; k += 3) Check(18, k, 3, {kRandom, kRandom});
}

TEST_P(Int8LogitsKernels, AreExactWhereNarrowAccumulatorsWouldOverflow) {
  for (const int weight : {-128, -127, 127})
    for (const int input : {-128, 127})
      for (const int64_t m : {1, 9}) Check(17, 6912, m, {weight, input});
  Check(1, kMaxHeadCols, 1, {-128, -128});
  Check(1, kMaxHeadCols, 5, {127, -128});
}

std::vector<FloatSubject> FloatSubjects() {
  std::vector<FloatSubject> subjects;
  for (const LogitsTarget& target : AllLogitsTargets()) subjects.push_back({&target});
  return subjects;
}
std::vector<Int8Subject> Int8Subjects() {
  std::vector<Int8Subject> subjects;
  for (const Int8LogitsKernel& kernel : AllInt8LogitsKernels()) subjects.push_back({&kernel});
  return subjects;
}

INSTANTIATE_TEST_SUITE_P(All, LogitsKernels, testing::ValuesIn(FloatSubjects()),
                         [](const auto& test) { return std::string(test.param.target->isa); });
INSTANTIATE_TEST_SUITE_P(All, Int8LogitsKernels, testing::ValuesIn(Int8Subjects()),
                         [](const auto& test) { return std::string(test.param.kernel->isa); });

}  // namespace
}  // namespace tern::cpu
