// Attention on the GPU against loops in double precision, and its bits against themselves: a row's
// result must not depend on what it is computed with.
#include "backend/cuda/kernels/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "base/bf16.h"
#include "base/float16.h"

namespace tern::cuda {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr size_t kGuard = 4096;

size_t Index(int64_t i) { return static_cast<size_t>(i); }

void Expect(cudaError_t error) { ASSERT_EQ(error, cudaSuccess) << cudaGetErrorString(error); }

// Device memory with guard bytes behind.
template <class T>
class Device {
 public:
  explicit Device(size_t size, int fill = 0xff) : size_(size) {
    Expect(cudaMalloc(reinterpret_cast<void**>(&data_), bytes() + kGuard));
    Expect(cudaMemset(data_, fill, bytes()));
    Expect(cudaMemset(data_ + size_, 0xa5, kGuard));
  }
  explicit Device(const std::vector<T>& from) : Device(from.size()) { Set(from); }
  ~Device() {
    std::vector<uint8_t> guard(kGuard);
    Expect(cudaMemcpy(guard.data(), data_ + size_, kGuard, cudaMemcpyDeviceToHost));
    EXPECT_EQ(guard, std::vector<uint8_t>(kGuard, 0xa5)) << "written beyond the end";
    cudaFree(data_);
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  T* get() const { return data_; }
  size_t bytes() const { return size_ * sizeof(T); }
  void Set(const std::vector<T>& from) {
    Expect(cudaMemcpy(data_, from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice));
  }
  std::vector<T> Get() const {
    std::vector<T> to(size_);
    Expect(cudaMemcpy(to.data(), data_, bytes(), cudaMemcpyDeviceToHost));
    return to;
  }

 private:
  T* data_ = nullptr;
  size_t size_;
};

struct Shape {
  KvType type = KvType::kF16;
  int heads = 20, kv_heads = 5, head_dim = 128;
  bool interleaved = false;
  int dims = 0;  // that are turned; 0: all
  bool norms = false;

  int turned() const { return dims == 0 ? head_dim : dims; }
  int cols() const { return (heads + 2 * kv_heads) * head_dim; }
  int stride() const { return cols() + 12; }
  int q_cols() const { return heads * head_dim; }
  int out_stride() const { return q_cols() + 4; }
  KvArgs Kv() const { return {type, nullptr, nullptr, heads, kv_heads, head_dim}; }
  size_t piece() const { return PieceBytes(type, head_dim); }
};

struct RowRun {
  int first, count;
};

// Sequences of some lengths, and a pass of rows: (sequence, position).
struct Pass {
  std::vector<int32_t> positions, sequences, tables, table_begin;
  int blocks = 0;  // of the cache
  int rows() const { return static_cast<int>(positions.size()); }
  int most() const { return *std::max_element(positions.begin(), positions.end()) + 1; }
};

// A row for each position of each sequence; blocks in the order of the tables, or scattered.
Pass WholeSequences(const std::vector<int>& lengths, bool scattered) {
  Pass pass;
  for (const int length : lengths) {
    pass.table_begin.push_back(static_cast<int32_t>(pass.tables.size()));
    for (int p = 0; p < length; ++p) {
      pass.positions.push_back(p);
      pass.sequences.push_back(static_cast<int32_t>(pass.table_begin.size()) - 1);
    }
    for (int64_t b = 0; b < BlocksFor(length); ++b)
      pass.tables.push_back(static_cast<int32_t>(pass.tables.size()));
  }
  pass.blocks = static_cast<int>(pass.tables.size()) + 3;
  if (scattered) {
    std::vector<int32_t> names(Index(pass.blocks));
    std::iota(names.begin(), names.end(), 0);
    std::shuffle(names.begin(), names.end(), std::mt19937(17));
    for (int32_t& block : pass.tables) block = names[Index(block)];
  }
  return pass;
}

std::vector<float> Random(size_t n, unsigned seed, float scale = 1.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> x(n);
  for (float& value : x) value = normal(random);
  return x;
}

// A pass on the device.
class Machine {
 public:
  Machine(const Shape& shape, const Pass& pass)
      : shape_(shape),
        pass_(pass),
        positions_(pass.positions),
        sequences_(pass.sequences),
        tables_(pass.tables),
        begin_(pass.table_begin),
        k_(Index(pass.blocks) * Index(shape.kv_heads) * shape.piece()),
        v_(k_.bytes()),
        cos_sin_(CosSin(shape, pass.most())),
        q_norm_(Random(Index(shape.head_dim), 5)),
        k_norm_(Random(Index(shape.head_dim), 6)),
        qkv_(Index(pass.rows()) * Index(shape.stride())) {
    kv_ = shape.Kv();
    kv_.k = k_.get();
    kv_.v = v_.get();
    step_ = {positions_.get(), sequences_.get(), tables_.get(), begin_.get(), nullptr, nullptr};
    rope_ = {qkv_.get(),    shape.stride(),  pass.rows(),
             shape.interleaved, shape.turned(), cos_sin_.get(),
             shape.norms ? q_norm_.get() : nullptr, shape.norms ? k_norm_.get() : nullptr, 1e-5f};
  }

  // (positions, turned): cosines, then sines.
  static std::vector<float> CosSin(const Shape& shape, int positions) {
    const int half = shape.turned() / 2;
    std::vector<float> table;
    for (int p = 0; p < positions; ++p) {
      for (int part = 0; part < 2; ++part)
        for (int i = 0; i < half; ++i) {
          const double angle = p * std::pow(10000.0, -static_cast<double>(i) / half);
          table.push_back(static_cast<float>(part == 0 ? std::cos(angle) : std::sin(angle)));
        }
    }
    return table;
  }

  void Store(const std::vector<float>& qkv) {
    qkv_.Set(qkv);
    RopeStoreKv(rope_, step_, kv_, {});
    Expect(cudaDeviceSynchronize());
  }

  // Rows in neither are NaN.
  std::vector<float> Attend(const std::vector<int32_t>& singles, const std::vector<RowRun>& runs) {
    return Attend(singles, runs, false);
  }
  std::vector<float> AttendFused(const std::vector<int32_t>& singles) {
    return Attend(singles, {}, true);
  }

  const Shape& shape() const { return shape_; }
  const Pass& pass() const { return pass_; }
  Device<float>& qkv() { return qkv_; }
  Device<uint8_t>& k() { return k_; }
  Device<uint8_t>& v() { return v_; }
  const RopeArgs& rope() const { return rope_; }
  std::vector<float> q_norm() const { return q_norm_.Get(); }
  std::vector<float> k_norm() const { return k_norm_.Get(); }

 private:
  std::vector<float> Attend(const std::vector<int32_t>& singles, const std::vector<RowRun>& runs,
                            bool fused) {
    Device<int32_t> rows(singles);
    std::vector<int32_t> pairs;
    for (const RowRun& run : runs) pairs.insert(pairs.end(), {run.first, run.count});
    Device<int32_t> run_rows(pairs);
    Device<float> out(Index(pass_.rows()) * Index(shape_.out_stride()));
    AttentionArgs args = {qkv_.get(), shape_.stride(), out.get(), shape_.out_stride(),
                          static_cast<int>(singles.size()), static_cast<int>(runs.size()), 1,
                          nullptr};
    for (const int32_t row : singles)
      args.max_positions = std::max(args.max_positions, pass_.positions[Index(row)] + 1);
    if (singles.size() % 2 == 1) args.max_positions += 300;  // chunks that nobody needs
    const size_t bytes =
        AttentionScratchBytes(args.singles, shape_.heads, shape_.head_dim, args.max_positions);
    if (!scratch_ || scratch_->bytes() < bytes)
      scratch_ = std::make_unique<Device<uint8_t>>(bytes, 0);
    args.scratch = scratch_->get();
    DeviceStep step = step_;
    step.single_rows = rows.get();
    step.runs = run_rows.get();
    if (fused)
      RopeAttention(rope_, args, step, kv_, {});
    else
      Attention(args, step, kv_, {});
    Expect(cudaGetLastError());
    Expect(cudaDeviceSynchronize());
    return out.Get();
  }

  Shape shape_;
  Pass pass_;
  Device<int32_t> positions_, sequences_, tables_, begin_;
  Device<uint8_t> k_, v_;
  Device<float> cos_sin_, q_norm_, k_norm_, qkv_;
  std::unique_ptr<Device<uint8_t>> scratch_;
  KvArgs kv_;
  DeviceStep step_;
  RopeArgs rope_;
};

// Element d of a position in a piece.
double Element(const Shape& shape, const uint8_t* piece, int p, int d) {
  const int at = p * shape.head_dim + d;
  uint16_t bits = 0;
  float x = 0;
  switch (shape.type) {
    case KvType::kF32: std::memcpy(&x, piece + at * 4, 4); return x;
    case KvType::kF16: std::memcpy(&bits, piece + at * 2, 2); return HalfToFloat(bits);
    case KvType::kBf16: std::memcpy(&bits, piece + at * 2, 2); return Bf16ToFloat(bits);
    case KvType::kInt8: break;
  }
  std::memcpy(&x, piece + PieceElementBytes(shape.type, shape.head_dim) + p * 4, 4);
  return static_cast<double>(static_cast<int8_t>(piece[at])) * x;
}

bool Tiled(const Shape& shape) {
  return shape.type != KvType::kF32 && (shape.head_dim == 64 || shape.head_dim == 128 || shape.head_dim == 256);
}

// Attention of a row in double precision over what the cache holds, with the query rounded as the
// kernels round it.
class Oracle {
 public:
  explicit Oracle(Machine& machine)
      : shape_(machine.shape()),
        pass_(machine.pass()),
        qkv_(machine.qkv().Get()),
        k_(machine.k().Get()),
        v_(machine.v().Get()) {}

  // (heads, head_dim); the largest value that took part in `largest`.
  std::vector<double> Row(int row, double* largest) const {
    const int dim = shape_.head_dim, own = pass_.positions[Index(row)];
    const int32_t* table =
        &pass_.tables[Index(pass_.table_begin[Index(pass_.sequences[Index(row)])])];
    std::vector<double> out(Index(shape_.q_cols()));
    for (int head = 0; head < shape_.heads; ++head) {
      const int kv_head = head / (shape_.heads / shape_.kv_heads);
      const float scale = 1.44269504088896341f / std::sqrt(static_cast<float>(dim));
      std::vector<double> q(Index(dim)), scores;
      for (int d = 0; d < dim; ++d) {
        const float x = qkv_[Index(row) * Index(shape_.stride()) + Index(head * dim + d)];
        q[Index(d)] = !Tiled(shape_) ? static_cast<double>(x) * scale
                      : shape_.type == KvType::kBf16 ? RoundBf16(x * scale)
                                                     : HalfToFloat(RoundHalf(x * scale));
      }
      for (int p = 0; p <= own; ++p) {
        const uint8_t* piece = Piece(k_, table[p / kBlockPositions], kv_head);
        double score = 0;
        for (int d = 0; d < dim; ++d)
          score += q[Index(d)] * Element(shape_, piece, p % kBlockPositions, d);
        scores.push_back(score);
      }
      const double most = *std::max_element(scores.begin(), scores.end());
      double sum = 0;
      for (double& score : scores) sum += score = std::exp2(score - most);
      for (int p = 0; p <= own; ++p) {
        const uint8_t* piece = Piece(v_, table[p / kBlockPositions], kv_head);
        for (int d = 0; d < dim; ++d) {
          const double value = Element(shape_, piece, p % kBlockPositions, d);
          *largest = std::max(*largest, std::fabs(value));
          out[Index(head * dim + d)] += scores[Index(p)] / sum * value;
        }
      }
    }
    return out;
  }

 private:
  const uint8_t* Piece(const std::vector<uint8_t>& pieces, int block, int kv_head) const {
    return &pieces[(Index(block) * Index(shape_.kv_heads) + Index(kv_head)) * shape_.piece()];
  }

  Shape shape_;
  Pass pass_;
  std::vector<float> qkv_;
  std::vector<uint8_t> k_, v_;
};

std::vector<int32_t> AllRows(const Pass& pass) {
  std::vector<int32_t> rows(pass.positions.size());
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

// Runs of at most `most` rows that cover the pass; sizes are drawn when `seed` isn't 0.
std::vector<RowRun> Runs(const Pass& pass, int most, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<RowRun> runs;
  for (int row = 0; row < pass.rows();) {
    const int size = seed == 0 ? most : 1 + static_cast<int>(random() % static_cast<unsigned>(most));
    int end = row + 1;
    while (end < pass.rows() && end < row + size &&
           pass.sequences[Index(end)] == pass.sequences[Index(row)])
      ++end;
    runs.push_back({row, end - row});
    row = end;
  }
  return runs;
}

// Whether the rows have the same bits; says where they first differ.
testing::AssertionResult Same(const Machine& machine, const std::vector<float>& a,
                              const std::vector<float>& b, const std::vector<int32_t>& rows) {
  const Shape& shape = machine.shape();
  int differ = 0;
  std::string first;
  for (const int32_t row : rows)
    for (int i = 0; i < shape.q_cols(); ++i) {
      const size_t at = Index(row) * Index(shape.out_stride()) + Index(i);
      if (std::memcmp(&a[at], &b[at], 4) == 0) continue;
      if (differ++ == 0)
        first = "row " + std::to_string(row) + " position " +
                std::to_string(machine.pass().positions[Index(row)]) + " head " +
                std::to_string(i / shape.head_dim) + " dim " + std::to_string(i % shape.head_dim) +
                ": " + std::to_string(a[at]) + " and " + std::to_string(b[at]);
    }
  if (differ == 0) return testing::AssertionSuccess();
  return testing::AssertionFailure() << differ << " numbers differ, first " << first;
}

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
      for (int d = 0; d < dim; ++d)
        largest = std::fmax(largest, std::fabs(turned[at + Index(d)]));
      const float scale = 127.0f / std::fmax(largest, 1e-5f);
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
  for (const int row : {0, 1, 7, 8, 31, 32, 33, 63, 64, 65, 95, 127, 128, 129, 191, 192, 255, 256,
                        257, 287, 320, 511, 512, 513, 640, 699, 700, 731, 732, 739, 740, 741, 800,
                        995, 996, 997, 998, 1061, 1062}) {
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
