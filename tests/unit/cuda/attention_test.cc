// Attention on the GPU against loops in double precision, and its bits against themselves: a row's
// result must not depend on what it is computed with.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "unit/cuda/attention_machine.h"

namespace tern::cuda {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class CudaAttention : public testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0)
      GTEST_SKIP() << "no CUDA device";
  }
};

TEST_P(CudaAttention, TurnsAndStores) {
  Shape shape = GetParam();
  const Pass pass = WholeSequences({70, 3}, true);
  Machine machine(shape, pass);
  std::vector<float> qkv = Random(Index(pass.rows()) * Index(shape.stride()), 1);
  qkv[5] = 1e6f;
  qkv[Index(shape.q_cols()) + 3] = 3e18f;
  qkv[Index(shape.cols()) - 1] = kNan;
  machine.Store(qkv);
  const std::vector<float> cos_sin = Machine::CosSin(shape, pass.most());
  const std::vector<float> turned = machine.qkv().Get();
  const std::vector<uint8_t> k = machine.k().Get(), v = machine.v().Get();
  const int dim = shape.head_dim, half = shape.turned() / 2;
  for (int row = 0; row < pass.rows(); ++row) {
    const int p = pass.positions[Index(row)];
    const int block = pass.tables[Index(pass.table_begin[Index(pass.sequences[Index(row)])] +
                                        p / kBlockPositions)];
    for (int head = 0; head < shape.heads + 2 * shape.kv_heads; ++head) {
      const size_t at = Index(row) * Index(shape.stride()) + Index(head * dim);
      std::vector<float> x(&qkv[at], &qkv[at] + dim);
      const bool value = head >= shape.heads + shape.kv_heads, query = head < shape.heads;
      if (!value) {
        if (shape.norms) {
          const std::vector<float> gain = query ? machine.q_norm() : machine.k_norm();
          double sum = 0;
          for (const float y : x) sum += static_cast<double>(y) * y;
          for (int d = 0; d < dim; ++d)
            x[Index(d)] = static_cast<float>(x[Index(d)] / std::sqrt(sum / dim + 1e-5) *
                                             static_cast<double>(gain[Index(d)]));
        }
        for (int i = 0; i < half; ++i) {
          const size_t a = Index(shape.interleaved ? 2 * i : i);
          const size_t b = Index(shape.interleaved ? 2 * i + 1 : i + half);
          const float c = cos_sin[Index(2 * p * half + i)];
          const float s = cos_sin[Index(2 * p * half + half + i)];
          const float first = x[a] * c - x[b] * s, second = x[b] * c + x[a] * s;
          x[a] = first;
          x[b] = second;
        }
        for (int d = 0; d < dim; ++d) {
          const float got = turned[at + Index(d)], want = x[Index(d)];
          if (!shape.norms)
            ASSERT_EQ(got, want) << row << " " << head << " " << d;
          else
            ASSERT_NEAR(got, want, 1e-5 * std::max(1.0f, std::fabs(want))) << row << " " << head;
        }
      }
      if (query) continue;
      const int kv_head = (head - shape.heads) % shape.kv_heads;
      const uint8_t* piece =
          &(value ? v : k)[(Index(block) * Index(shape.kv_heads) + Index(kv_head)) * shape.piece()];
      // Of what the kernel itself had, so that roundings are exact.
      float largest = 0;
      for (int d = 0; d < dim; ++d) largest = std::fmax(largest, std::fabs(turned[at + Index(d)]));
      const float scale = 127.0f / std::fmin(std::fmax(largest, 1e-5f), 65000.0f);
      for (int d = 0; d < dim; ++d) {
        const float from = turned[at + Index(d)];
        float want = from;
        if (shape.type == KvType::kF16) want = HalfToFloat(RoundHalf(from));
        if (shape.type == KvType::kBf16) want = RoundBf16(from);
        if (shape.type == KvType::kInt8) {
          const float code = std::nearbyint(from * scale);
          want = (code >= -128.0f ? std::fmin(code, 127.0f) : -128.0f) * (1.0f / scale);
        }
        const auto got = static_cast<float>(Element(shape, piece, p % kBlockPositions, d));
        if (std::isnan(want))
          ASSERT_TRUE(std::isnan(got));
        else
          ASSERT_EQ(got, want) << row << " " << head << " " << d;
      }
    }
  }
}

TEST_P(CudaAttention, AgreesWithDoubleAndWithItself) {
  const Shape shape = GetParam();
  const Pass pass = WholeSequences({700, 40, 1, 257, 65}, true);
  Machine machine(shape, pass);
  machine.Store(Random(Index(pass.rows()) * Index(shape.stride()), 2, 1.3f));
  const std::vector<int32_t> rows = AllRows(pass);
  const std::vector<float> singles = machine.Attend(rows, {});

  const Oracle oracle(machine);
  const double tolerance = shape.type == KvType::kBf16 ? 0x1p-8 : Tiled(shape) ? 0x1p-11 : 2e-6;
  double worst = 0;
  for (const int row : {0,   1,   7,   8,   31,  32,  33,  63,  64,  65,  95,  127,  128,
                        129, 191, 192, 255, 256, 257, 287, 320, 511, 512, 513, 640,  699,
                        700, 731, 732, 739, 740, 741, 800, 995, 996, 997, 998, 1061, 1062}) {
    double largest = 0;
    const std::vector<double> want = oracle.Row(row, &largest);
    for (size_t i = 0; i < want.size(); ++i) {
      const double error =
          std::fabs(singles[Index(row) * Index(shape.out_stride()) + i] - want[i]) / largest;
      ASSERT_LE(error, tolerance) << "row " << row << " of position " << pass.positions[Index(row)]
                                  << ", column " << i << ", expected " << want[i];
      worst = std::max(worst, error);
    }
  }
  RecordProperty("worst", std::to_string(worst));

  const int most = AttentionRunRows(shape.Kv());
  EXPECT_TRUE(Same(machine, singles, machine.Attend({}, Runs(pass, most, 0)), rows)) << "runs";
  EXPECT_TRUE(Same(machine, singles, machine.Attend({}, Runs(pass, most, 3)), rows)) << "uneven";
  std::vector<int32_t> some;
  std::vector<RowRun> other;
  for (const RowRun& run : Runs(pass, std::max(1, most / 3), 4)) {
    if (run.count % 2 == 0)
      other.push_back(run);
    else
      for (int i = 0; i < run.count; ++i) some.push_back(run.first + i);
  }
  EXPECT_TRUE(Same(machine, singles, machine.Attend(some, other), rows)) << "mixed";
  for (const int row : {0, 255, 256, 699, 1062})
    EXPECT_TRUE(Same(machine, singles, machine.Attend({row}, {}), {row})) << "alone";
}

TEST_P(CudaAttention, PlaceOfBlocksDoesNotMatter) {
  const Shape shape = GetParam();
  const Pass ordered = WholeSequences({300, 33}, false);
  Machine a(shape, ordered), b(shape, WholeSequences({300, 33}, true));
  const std::vector<float> qkv = Random(Index(ordered.rows()) * Index(shape.stride()), 7);
  a.Store(qkv);
  b.Store(qkv);
  const std::vector<int32_t> rows = AllRows(ordered);
  EXPECT_TRUE(Same(a, a.Attend(rows, {}), b.Attend(rows, {}), rows));
}

TEST_P(CudaAttention, FusedKernelGivesTheSameBits) {
  const Shape shape = GetParam();
  // The last row of each sequence is the pass; the others were there before.
  const Pass pass = WholeSequences({700, 1, 32, 33, 256, 257, 64, 65, 130}, true);
  Machine machine(shape, pass);
  const std::vector<float> qkv = Random(Index(pass.rows()) * Index(shape.stride()), 8);
  machine.Store(qkv);
  std::vector<int32_t> last;
  for (int row = 0; row < pass.rows(); ++row)
    if (row + 1 == pass.rows() || pass.positions[Index(row) + 1] == 0) last.push_back(row);
  const std::vector<float> want = machine.Attend(last, {});
  const std::vector<uint8_t> k = machine.k().Get(), v = machine.v().Get();
  // Their places in the blocks are poisoned.
  std::vector<uint8_t> k_before = k, v_before = v;
  const size_t size = PieceElementBytes(shape.type, shape.head_dim) / kBlockPositions;
  for (const int32_t row : last) {
    const int p = pass.positions[Index(row)];
    const int block = pass.tables[Index(pass.table_begin[Index(pass.sequences[Index(row)])] +
                                        p / kBlockPositions)];
    for (int h = 0; h < shape.kv_heads; ++h) {
      const size_t piece = (Index(block) * Index(shape.kv_heads) + Index(h)) * shape.piece();
      for (auto* bytes : {&k_before, &v_before}) {
        std::fill_n(&(*bytes)[piece + Index(p % kBlockPositions) * size], size, uint8_t{0xff});
        if (shape.type == KvType::kInt8)
          std::fill_n(&(*bytes)[piece + PieceElementBytes(shape.type, shape.head_dim) +
                                Index(p % kBlockPositions) * 4],
                      4, uint8_t{0xff});
      }
    }
  }
  machine.k().Set(k_before);
  machine.v().Set(v_before);
  machine.qkv().Set(qkv);
  if (!Tiled(shape)) {
    // Rows of the same sequence would be stored too; only what the tiled kernels do is fused.
    return;
  }
  EXPECT_TRUE(Same(machine, want, machine.AttendFused(last), last));
  EXPECT_EQ(machine.k().Get(), k);
  EXPECT_EQ(machine.v().Get(), v);
}

TEST_P(CudaAttention, PositionsMayHaveGaps) {
  const Shape shape = GetParam();
  const Pass pass = WholeSequences({520}, true);
  Machine machine(shape, pass);
  machine.Store(Random(Index(pass.rows()) * Index(shape.stride()), 9));
  const std::vector<float> whole = machine.Attend(AllRows(pass), {});
  // A pass of some of the rows, over the same cache.
  Pass gaps = pass;
  gaps.positions.clear();
  for (int p = 5, i = 0; p < 520; p += 1 + i++ % 23) gaps.positions.push_back(p);
  gaps.sequences.assign(gaps.positions.size(), 0);
  Machine other(shape, gaps);
  other.k().Set(machine.k().Get());
  other.v().Set(machine.v().Get());
  const std::vector<float> qkv = machine.qkv().Get();
  std::vector<float> chosen, want;
  for (const int32_t p : gaps.positions) {
    chosen.insert(chosen.end(), &qkv[Index(p) * Index(shape.stride())],
                  &qkv[Index(p) * Index(shape.stride())] + shape.stride());
    want.insert(want.end(), &whole[Index(p) * Index(shape.out_stride())],
                &whole[Index(p) * Index(shape.out_stride())] + shape.out_stride());
  }
  other.qkv().Set(chosen);
  const std::vector<RowRun> runs = Runs(gaps, AttentionRunRows(shape.Kv()), 0);
  EXPECT_TRUE(Same(other, want, other.Attend({}, runs), AllRows(gaps)));
}

TEST_P(CudaAttention, OneSequenceDoesNotDisturbAnother) {
  const Shape shape = GetParam();
  const Pass pass = WholeSequences({90, 90, 290}, true);
  Machine machine(shape, pass);
  std::vector<float> qkv = Random(Index(pass.rows()) * Index(shape.stride()), 10);
  const int most = AttentionRunRows(shape.Kv());
  std::vector<int32_t> sane;
  for (int row = 0; row < pass.rows(); ++row)
    if (pass.sequences[Index(row)] != 1) sane.push_back(row);
  machine.Store(qkv);
  const std::vector<float> want = machine.Attend(AllRows(pass), {});
  const float infinity = std::numeric_limits<float>::infinity();
  const float strange[] = {kNan, infinity, -infinity, 1e-42f, 1e30f, -1e30f, 65520.0f, 0.0f};
  std::mt19937 random(11);
  for (int row = 90; row < 180; ++row)
    for (int i = 0; i < shape.cols(); ++i)
      qkv[Index(row) * Index(shape.stride()) + Index(i)] = strange[random() % 8];
  machine.Store(qkv);
  EXPECT_TRUE(Same(machine, want, machine.Attend(AllRows(pass), {}), sane));
  EXPECT_TRUE(Same(machine, want, machine.Attend({}, Runs(pass, most, 0)), sane));
}

std::vector<Shape> Shapes() {
  std::vector<Shape> shapes;
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kBf16, KvType::kInt8}) {
    shapes.push_back({type, 20, 5, 128});
    shapes.push_back({type, 6, 3, 64, true, 0, true});
    shapes.push_back({type, 4, 2, 64, false, 32, true});
    shapes.push_back({type, 5, 1, 100, false, 0, true});
    shapes.push_back({type, 3, 3, 20, true, 12, false});
    shapes.push_back({type, 40, 2, 32});
    shapes.push_back({type, 40, 2, 64, true, 40, true});
    shapes.push_back({type, 8, 8, 256, false, 0, true});
    shapes.push_back({type, 2, 1, 320, true, 0, false});
  }
  return shapes;
}

std::string NameOf(const testing::TestParamInfo<Shape>& info) {
  const char* const types[] = {"F32", "F16", "Bf16", "Int8"};
  const Shape& s = info.param;
  return std::string(types[static_cast<int>(s.type)]) + "_" + std::to_string(s.heads) + "_" +
         std::to_string(s.kv_heads) + "_" + std::to_string(s.head_dim);
}

INSTANTIATE_TEST_SUITE_P(Shapes, CudaAttention, testing::ValuesIn(Shapes()), NameOf);

}  // namespace
}  // namespace tern::cuda
