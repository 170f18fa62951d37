// Executors for who looks at logits: random ones, and ones that stay where they are.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/rng.h"
#include "model/executor.h"

namespace tern::test {

/// The `count` best of a row by sorting all of it, as Backend::TopLogits has them.
struct SortedTop {
  SortedTop(std::span<const float> row, size_t count) {
    std::vector<TokenId> order;
    for (size_t i = 0; i < row.size(); ++i)
      if (!std::isnan(row[i])) order.push_back(static_cast<TokenId>(i));
    std::stable_sort(order.begin(), order.end(), [&](TokenId a, TokenId b) {
      return row[static_cast<size_t>(a)] > row[static_cast<size_t>(b)];
    });
    order.resize(std::min(order.size(), count));
    for (const TokenId id : order) logits.push_back(row[static_cast<size_t>(id)]);
    logits.resize(count, -std::numeric_limits<float>::infinity());
    ids = std::move(order);
    ids.resize(count, -1);
  }

  std::vector<float> logits;
  std::vector<TokenId> ids;
};

/// Logits that depend on a row's token and position alone; some are equal, some NaN or -infinity.
class RandomLogitsExecutor final : public Executor {
 public:
  explicit RandomLogitsExecutor(int64_t vocab) : vocab_(vocab) {}

  int64_t max_rows() const override { return 64; }
  Result<FloatView> Forward(const Batch& batch, KvCache&) override {
    out_.clear();
    for (const int32_t row : batch.logit_rows) {
      const auto r = static_cast<size_t>(row);
      Rng rng(static_cast<uint64_t>(batch.tokens[r] * 1000 + batch.positions[r]));
      for (int64_t i = 0; i < vocab_; ++i) {
        const uint64_t kind = rng.Next() % 20;
        const auto value = static_cast<float>(rng.Next() % 64) / 8 - 4;
        out_.push_back(kind == 0   ? std::numeric_limits<float>::quiet_NaN()
                       : kind == 1 ? -std::numeric_limits<float>::infinity()
                                   : value);
      }
    }
    return FloatView(out_.data(), std::ssize(batch.logit_rows), vocab_);
  }

 private:
  int64_t vocab_;
  std::vector<float> out_;
};

/// Another executor whose logits stay where they are, as a device's do: the best `count` are known.
class RankingExecutor final : public Executor {
 public:
  RankingExecutor(Executor& inner, size_t count) : inner_(inner), count_(count) {}

  int64_t max_rows() const override { return inner_.max_rows(); }
  Result<FloatView> Forward(const Batch& batch, KvCache& cache) override {
    TERN_ASSIGN_OR_RETURN(all_, inner_.Forward(batch, cache));
    top_.clear();
    if (batch.output != BatchOutput::kTopLogits) return all_;
    for (int64_t row = 0; row < all_.rows; ++row)
      top_.emplace_back(std::span(all_.Row(row), static_cast<size_t>(all_.cols)), count_);
    return FloatView(nullptr, all_.rows, all_.cols);
  }
  RankedLogits Top(int64_t row) const override {
    ++asked;
    const SortedTop& top = top_.at(static_cast<size_t>(row));
    return {top.logits, top.ids};
  }
  Result<std::span<const float>> AllLogits(int64_t row) override {
    ++fetched;
    return std::span<const float>(all_.Row(row), static_cast<size_t>(all_.cols));
  }

  mutable std::atomic<int> asked = 0;  // rows looked at
  std::atomic<int> fetched = 0;        // and those the best of which weren't enough

 private:
  Executor& inner_;
  size_t count_;
  FloatView all_;
  std::vector<SortedTop> top_;
};

}  // namespace tern::test
