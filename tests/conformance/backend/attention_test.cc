// Keys, values and attention over them: the same bits from every backend (on a GPU, up to rounding
// where floats are summed), wherever the blocks of a sequence lie.
#include <cmath>
#include <limits>
#include <numeric>
#include <span>

#include "conformance/backend/fixture.h"

namespace tern {
namespace {

using test::BackendArray;
using test::Floats;
using Tables = std::vector<std::vector<BlockId>>;

constexpr int64_t kPositions = 640;  // of a sequence, at most
constexpr BlockId kBlocks = 64;

// Blocks of two sequences, in no order.
Tables Scattered() {
  Tables tables(2);
  for (BlockId i = 0; i < BlocksFor(kPositions); ++i)
    for (BlockId s = 0; s < 2; ++s)
      tables[static_cast<size_t>(s)].push_back((2 * i + s) * 27 % kBlocks);
  return tables;
}

// One after the other.
Tables InOrder() {
  Tables tables(2, std::vector<BlockId>(static_cast<size_t>(BlocksFor(kPositions))));
  std::iota(tables[0].begin(), tables[0].end(), 0);
  std::iota(tables[1].begin(), tables[1].end(), tables[0].back() + 1);
  return tables;
}

// Where the rows of a step stand.
struct Step {
  std::vector<int32_t> positions, sequences;

  void Add(int32_t position, int32_t sequence) {
    positions.push_back(position);
    sequences.push_back(sequence);
  }
  int64_t rows() const { return std::ssize(positions); }
};

// A layer's cache and what a backend does with it.
class Layer {
 public:
  Layer(Backend& backend, KvType type, const HeadShape& shape, const Tables& tables)
      : backend_(backend),
        shape_(shape),
        side_(static_cast<size_t>(kBlocks * shape.kv_heads) * PieceBytes(type, shape.head_dim)),
        memory_(backend, std::vector<std::byte>(2 * side_)),
        kv_{type, memory_.data(), memory_.data() + side_},
        tables_(tables.begin(), tables.end()),
        angles_(backend, Floats(static_cast<size_t>(kPositions * shape.head_dim), 7)) {}

  // qkv (rows, qkv_cols) changes.
  void Store(const Step& step, std::vector<float>& qkv, RopeStyle style = RopeStyle::kNeox,
             const std::vector<float>& gain = {}) {
    const BackendArray<float> rows(backend_, qkv), gain_there(backend_, gain);
    const float* g = gain.empty() ? nullptr : gain_there.data();
    backend_.RopeStoreKv({rows.data(), step.rows(), shape_.qkv_cols()}, shape_,
                         {style, shape_.head_dim / 2 * 2, angles_.data(), g, g, 1e-6f},
                         {step.positions, step.sequences, tables_}, kv_);
    qkv = rows.Read();
  }

  // q stands inside a wider row, as in the fused projection.
  std::vector<float> Attend(const Step& step, const std::vector<float>& qkv, int64_t first = 0) {
    const auto at = static_cast<size_t>(first);
    const int64_t rows = step.rows() - first;
    const BackendArray<float> from(backend_, qkv);
    const BackendArray<float> out(backend_,
                                  std::vector<float>(static_cast<size_t>(rows * shape_.q_cols())));
    backend_.Attention(
        FloatView(from.data() + first * shape_.qkv_cols(), rows, shape_.qkv_cols())
            .Columns(0, shape_.q_cols()),
        shape_,
        {std::span(step.positions).subspan(at), std::span(step.sequences).subspan(at), tables_},
        kv_, {out.data(), rows, shape_.q_cols()});
    return out.Read();
  }

  // Both in one, in a pass of their own.
  std::vector<float> StoreAndAttend(const Step& step, const std::vector<float>& qkv) {
    const BackendArray<float> rows(backend_, qkv);
    const BackendArray<float> out(
        backend_, std::vector<float>(static_cast<size_t>(step.rows() * shape_.q_cols())));
    const StepInfo info{step.positions, step.sequences, tables_};
    const auto run = backend_.BeginPass({.tokens = step.positions,
                                         .step = info,
                                         .logit_rows = {},
                                         .buffers = rows.data(),
                                         .cache = kv_.k});
    EXPECT_TRUE(run && *run);
    backend_.RopeAttention(
        {rows.data(), step.rows(), shape_.qkv_cols()}, shape_,
        {RopeStyle::kNeox, shape_.head_dim / 2 * 2, angles_.data(), nullptr, nullptr, 1e-6f}, info,
        kv_, {out.data(), step.rows(), shape_.q_cols()});
    EXPECT_TRUE(backend_.EndPass());
    return out.Read();
  }

  std::vector<float> Rows(const Step& step, uint64_t seed) const {
    return Floats(static_cast<size_t>(step.rows() * shape_.qkv_cols()), seed);
  }
  std::vector<std::byte> memory() const { return memory_.Read(); }

 private:
  Backend& backend_;
  HeadShape shape_;
  size_t side_;
  BackendArray<std::byte> memory_;
  KvLayer kv_;
  std::vector<std::span<const BlockId>> tables_;
  BackendArray<float> angles_;
};

constexpr KvType kTypes[] = {KvType::kF32, KvType::kF16, KvType::kBf16, KvType::kInt8};
constexpr HeadShape kShapes[] = {{4, 2, 64}, {20, 5, 128}, {5, 1, 100}, {3, 3, 20}, {40, 2, 32}};

// The first 300 positions of sequence 0, and the first 540 of sequence 1.
Step Past() {
  Step step;
  for (int32_t p = 0; p < 540; ++p) {
    if (p < 300) step.Add(p, 0);
    step.Add(p, 1);
  }
  return step;
}

// A prompt's rows in order, then single ones of either sequence.
Step Present() {
  Step step;
  for (int32_t p = 250; p < 300; ++p) step.Add(p, 0);
  for (const int32_t p : {0, 1, 15, 16, 31, 32, 255, 256, 539}) step.Add(p, 1);
  return step;
}

// Of a sum over positions, relative to the largest output. Backends round the weights, and queries,
// to different types: to that of the cache or not at all; an int8 cache gets int8 queries on the
// CPU, halves on a GPU.
double Rounding(KvType type) {
  return type == KvType::kF32 ? 1e-5 : type == KvType::kF16 ? 0x1p-9 : 0x1p-6;
}

bool SameBits(const std::vector<float>& a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), b.size_bytes()) == 0;
}

class AttentionConformance : public test::BackendConformance {};

TEST_P(AttentionConformance, RopeStoreKvWithAndWithoutHeadNorms) {
  const HeadShape shape{6, 3, 20};
  const auto gain = Floats(20, 8);
  const Tables tables = Scattered();
  Step step;
  step.Add(0, 0);
  step.Add(63, 1);
  step.Add(5, 0);
  for (const KvType type : kTypes)
    for (const RopeStyle style : {RopeStyle::kNeox, RopeStyle::kInterleaved})
      for (const std::vector<float>& g : {gain, std::vector<float>()}) {
        Layer a(*backend_, type, shape, tables), b(*reference_, type, shape, tables);
        auto got = a.Rows(step, 9), want = got;
        a.Store(step, got, style, g);
        b.Store(step, want, style, g);
        ExpectSame(got, want, g.empty() ? 0 : 1e-6);
        if (!own_order()) {
          EXPECT_EQ(a.memory(), b.memory());
        }
      }
}

TEST_P(AttentionConformance, OverShortAndLongPasts) {
  const Tables tables = Scattered();
  const Step past = Past(), present = Present();
  // Values too small, infinite, and no number, all in sequence 0, which come to different ends with
  // orders of their own: there also without them.
  const std::vector<bool> variants = own_order() ? std::vector{false, true} : std::vector{true};
  for (const KvType type : kTypes)
    for (const HeadShape& shape : kShapes)
      for (const bool strange : variants) {
        Layer layers[] = {{*backend_, type, shape, tables}, {*reference_, type, shape, tables}};
        std::vector<float> out[2];
        for (int i = 0; i < 2; ++i) {
          Layer& layer = layers[i];
          auto qkv = layer.Rows(past, 9);
          if (strange && type != KvType::kF32) {
            qkv[static_cast<size_t>(shape.q_cols())] = 1e-20f;
            qkv[static_cast<size_t>(shape.q_cols() + 1)] = std::numeric_limits<float>::infinity();
            qkv[static_cast<size_t>(shape.qkv_cols() - 1)] =
                std::numeric_limits<float>::quiet_NaN();
          }
          layer.Store(past, qkv);
          const auto q = layer.Rows(present, 12);
          out[i] = layer.Attend(present, q);
          // Alone, and as few: the same as in company.
          const auto alone = layer.Attend(present, q, present.rows() - 1);
          EXPECT_TRUE(SameBits(alone, std::span(out[i]).last(alone.size())));
        }
        if (!own_order()) {
          EXPECT_EQ(layers[0].memory(), layers[1].memory());
        }
        // An infinite key may make scores that are no numbers; which NaN is not specified.
        const auto is_nan = [](float v) { return std::isnan(v); };
        for (std::vector<float>& side : out)
          std::replace_if(side.begin(), side.end(), is_nan,
                          std::numeric_limits<float>::quiet_NaN());
        const auto of_other = static_cast<size_t>(9 * shape.q_cols());
        const auto numbers = out[0].size() - static_cast<size_t>(std::count_if(
                                                 out[0].begin(), out[0].end(), is_nan));
        EXPECT_GE(numbers, of_other);
        const size_t compared = strange && own_order() ? of_other : out[0].size();
        SCOPED_TRACE(testing::Message() << "type " << static_cast<int>(type) << ", head of "
                                        << shape.head_dim << (strange ? ", strange" : ""));
        ExpectSame(std::span(out[0]).last(compared), std::span(out[1]).last(compared),
                   Rounding(type));
      }
}

// Both sequences begin with the same 96 tokens.
TEST_P(AttentionConformance, WhereBlocksLieAndWhoSharesThemChangesNothing) {
  constexpr int32_t kCommon = 96;
  Tables sharing = Scattered();
  std::copy_n(sharing[0].begin(), kCommon / kBlockPositions, sharing[1].begin());
  const Step present = Present();
  for (const KvType type : kTypes)
    for (const HeadShape& shape : kShapes) {
      std::vector<float> want;
      for (const Tables& tables : {InOrder(), Scattered(), sharing}) {
        Layer layer(*backend_, type, shape, tables);
        // One step a sequence; the second takes the first one's tokens up to kCommon.
        Step steps[2];
        for (int32_t p = 0; p < 540; ++p)
          for (const int32_t s : {0, 1}) steps[s].Add(p, s);
        auto first = layer.Rows(steps[0], 9), second = layer.Rows(steps[1], 10);
        std::copy_n(first.begin(), kCommon * shape.qkv_cols(), second.begin());
        layer.Store(steps[0], first);
        layer.Store(steps[1], second);
        auto q = layer.Rows(present, 12);
        const auto out = layer.Attend(present, q);
        if (want.empty()) want = out;
        EXPECT_TRUE(SameBits(want, out));
      }
    }
}

// A pass whose rows are all alone in their sequences may take one kernel for both.
TEST_P(AttentionConformance, RopeAndAttentionJoinedAreTheirParts) {
  const Tables tables = Scattered();
  const Step past = Past();
  for (const KvType type : kTypes)
    for (const HeadShape& shape : kShapes) {
      Layer parts(*backend_, type, shape, tables), joined(*backend_, type, shape, tables);
      for (Layer* layer : {&parts, &joined}) {
        auto qkv = layer->Rows(past, 9);
        layer->Store(past, qkv);
      }
      for (const int32_t position : {0, 32, 299}) {
        Step step;
        step.Add(position, 0);
        step.Add(position + 1, 1);
        auto qkv = parts.Rows(step, 12);
        const auto together = joined.StoreAndAttend(step, qkv);
        parts.Store(step, qkv);
        EXPECT_TRUE(SameBits(parts.Attend(step, qkv), together))
            << position << ", " << shape.head_dim << ", type " << static_cast<int>(type);
      }
      EXPECT_EQ(parts.memory(), joined.memory());
    }
}

INSTANTIATE_TEST_SUITE_P(Gpu, AttentionConformance, testing::ValuesIn(test::GpuSubjects()),
                         test::SubjectName);
INSTANTIATE_TEST_SUITE_P(All, AttentionConformance, testing::ValuesIn(test::Subjects()),
                         test::SubjectName);

}  // namespace
}  // namespace tern
