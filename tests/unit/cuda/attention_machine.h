// What the tests of attention on the GPU share: sequences in blocks, a pass over them on the
// device, and attention in double precision.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "backend/cuda/kernels/attention.h"
#include "base/bf16.h"
#include "base/float16.h"

namespace tern::cuda {

inline constexpr size_t kGuard = 4096;

inline size_t Index(int64_t i) { return static_cast<size_t>(i); }

inline void Expect(cudaError_t error) {
  ASSERT_EQ(error, cudaSuccess) << cudaGetErrorString(error);
}

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
inline Pass WholeSequences(const std::vector<int>& lengths, bool scattered) {
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

inline std::vector<float> Random(size_t n, unsigned seed, float scale = 1.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> x(n);
  for (float& value : x) value = normal(random);
  return x;
}

// Whether the kernels with mma take it.
inline bool Tiled(const Shape& shape) {
  return shape.type != KvType::kF32 &&
         (shape.head_dim == 64 || shape.head_dim == 128 || shape.head_dim == 256);
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
    rope_ = {qkv_.get(),
             shape.stride(),
             pass.rows(),
             shape.interleaved,
             shape.turned(),
             cos_sin_.get(),
             shape.norms ? q_norm_.get() : nullptr,
             shape.norms ? k_norm_.get() : nullptr,
             1e-5f};
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
    AttentionArgs args = {qkv_.get(),
                          shape_.stride(),
                          out.get(),
                          shape_.out_stride(),
                          static_cast<int>(singles.size()),
                          static_cast<int>(runs.size()),
                          1,
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
    // On a GPU of how many multiprocessors decides which kernel takes single rows.
    const auto attend = [&](int multiprocessors) {
      const Launch launch{.multiprocessors = multiprocessors};
      if (fused)
        RopeAttention(rope_, args, step, kv_, launch);
      else
        Attention(args, step, kv_, launch);
      Expect(cudaGetLastError());
      Expect(cudaDeviceSynchronize());
      return out.Get();
    };
    const std::vector<float> result = attend(1 << 20);
    if (Tiled(shape_) && !singles.empty()) {
      Expect(cudaMemset(out.get(), 0xff, out.bytes()));
      const std::vector<float> other = attend(0);
      EXPECT_EQ(std::memcmp(result.data(), other.data(), out.bytes()), 0) << "many rows or few";
    }
    return result;
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
inline double Element(const Shape& shape, const uint8_t* piece, int p, int d) {
  const int at = p * shape.head_dim + d;
  uint16_t bits = 0;
  float x = 0;
  switch (shape.type) {
    case KvType::kF32:
      std::memcpy(&x, piece + at * 4, 4);
      return x;
    case KvType::kF16:
      std::memcpy(&bits, piece + at * 2, 2);
      return HalfToFloat(bits);
    case KvType::kBf16:
      std::memcpy(&bits, piece + at * 2, 2);
      return Bf16ToFloat(bits);
    case KvType::kInt8:
      break;
  }
  std::memcpy(&x, piece + PieceElementBytes(shape.type, shape.head_dim) + p * 4, 4);
  return static_cast<double>(static_cast<int8_t>(piece[at])) * x;
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
        q[Index(d)] = !Tiled(shape_)                 ? static_cast<double>(x) * scale
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

inline std::vector<int32_t> AllRows(const Pass& pass) {
  std::vector<int32_t> rows(pass.positions.size());
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

// Runs of at most `most` rows that cover the pass; sizes are drawn when `seed` isn't 0.
inline std::vector<RowRun> Runs(const Pass& pass, int most, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<RowRun> runs;
  for (int row = 0; row < pass.rows();) {
    const int size =
        seed == 0 ? most : 1 + static_cast<int>(random() % static_cast<unsigned>(most));
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
inline testing::AssertionResult Same(const Machine& machine, const std::vector<float>& a,
                                     const std::vector<float>& b,
                                     const std::vector<int32_t>& rows) {
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

}  // namespace tern::cuda
