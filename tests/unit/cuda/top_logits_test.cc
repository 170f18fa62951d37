#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "base/rng.h"
#include "head_device.h"

namespace tern::cuda {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

using Fill = std::function<float(size_t id, Rng& rng)>;

void Check(int m, int vocab, int k, const Fill& fill) {
  SCOPED_TRACE(testing::Message() << "m " << m << ", vocab " << vocab << ", k " << k);
  for (const int extra : {0, 1, 4}) {
    const auto n = static_cast<size_t>(vocab);
    const size_t stride = n + static_cast<size_t>(extra);
    const auto keep = static_cast<size_t>(k);
    Rng rng(static_cast<uint64_t>(m * 31 + vocab + k));
    std::vector<float> logits(static_cast<size_t>(m) * stride, kInfinity);
    for (size_t r = 0; r < static_cast<size_t>(m); ++r)
      for (size_t i = 0; i < n; ++i) logits[r * stride + i] = fill(i, rng);
    const DeviceArray<float> device(logits);
    const DeviceArray<float> values(static_cast<size_t>(m) * keep);
    const DeviceArray<int32_t> ids(static_cast<size_t>(m) * keep);
    const DeviceArray<uint8_t> scratch(TopScratchBytes(m, vocab, k));
    TopLogits(device.data(), static_cast<int64_t>(stride), m, vocab, k, values.data(), ids.data(),
              scratch.data(), TestLaunch());
    const std::vector<float> got_values = values.Read();
    const std::vector<int32_t> got_ids = ids.Read();
    for (size_t r = 0; r < static_cast<size_t>(m); ++r) {
      const float* row = logits.data() + r * stride;
      std::vector<int32_t> order;
      for (int32_t i = 0; i < vocab; ++i)
        if (!std::isnan(row[i])) order.push_back(i);
      const size_t there = std::min(keep, order.size());
      std::partial_sort(
          order.begin(), order.begin() + static_cast<std::ptrdiff_t>(there), order.end(),
          [row](int32_t a, int32_t b) { return row[a] != row[b] ? row[a] > row[b] : a < b; });
      for (size_t i = 0; i < keep; ++i) {
        const int32_t id = i < there ? order[i] : -1;
        ASSERT_EQ(got_ids[r * keep + i], id) << "row " << r << ", place " << i;
        ASSERT_EQ(got_values[r * keep + i], id < 0 ? -kInfinity : row[id]) << r << ", " << i;
      }
    }
  }
}

float Random(size_t, Rng& rng) { return static_cast<float>(rng.NextUnit() * 20 - 12); }

TEST(TopLogits, AreThoseOfAPartialSort) {
  if (!HasDevice()) GTEST_SKIP() << "no CUDA device";
  for (const int vocab : {1, 5, 63, 1000, 2048, 8192, 8193, 32000, 128256})
    for (const int m : {1, 3, 40})
      for (const int k : {1, 2, 40, 64})
        if (m == 1 || vocab <= 32000) Check(m, vocab, k, Random);
  Check(256, 8200, 1, Random);
  Check(256, 33001, 40, Random);
}

TEST(TopLogits, EqualOnesComeById) {
  if (!HasDevice()) GTEST_SKIP() << "no CUDA device";
  for (const int k : {1, 40, 64}) {
    Check(2, 20000, k, [](size_t, Rng& rng) { return static_cast<float>(rng.Next() % 7); });
    Check(2, 20000, k, [](size_t, Rng&) { return -2.5f; });
    Check(2, 20000, k, [](size_t, Rng& rng) { return rng.Next() % 2 == 0 ? 0.0f : -0.0f; });
  }
}

TEST(TopLogits, NanNeverInfinityYes) {
  if (!HasDevice()) GTEST_SKIP() << "no CUDA device";
  for (const int k : {1, 40, 64}) {
    Check(3, 20000, k, [](size_t id, Rng& rng) { return id % 3 != 0 ? NAN : Random(id, rng); });
    Check(3, 20000, k, [](size_t, Rng&) { return NAN; });
    Check(3, 20000, k, [](size_t, Rng&) { return -NAN; });
    Check(3, 20000, k, [](size_t id, Rng&) { return id == 777 ? kInfinity : NAN; });
    Check(3, 20000, k,
          [](size_t id, Rng&) { return id % 4000 == 17 ? static_cast<float>(id) : -kInfinity; });
  }
}

// The best of a slice all in few threads, or in falling and rising order.
TEST(TopLogits, OrderOfTheVocabularyDoesNotMatter) {
  if (!HasDevice()) GTEST_SKIP() << "no CUDA device";
  for (const int m : {1, 200}) {
    for (const int k : {2, 40, 64}) {
      Check(m, 17000, k, [](size_t id, Rng& rng) {
        return Random(id, rng) + (id / 16 % 128 < 39 ? 100.0f : 0.0f);
      });
      Check(m, 17000, k, [](size_t id, Rng& rng) {
        return Random(id, rng) + (id / 16 % 128 == 5 ? 100.0f : 0.0f);
      });
      Check(m, 17000, k, [](size_t id, Rng&) { return static_cast<float>(id); });
      Check(m, 17000, k, [](size_t id, Rng&) { return -static_cast<float>(id); });
    }
  }
}

}  // namespace
}  // namespace tern::cuda
