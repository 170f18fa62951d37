#include "perf/change_point.h"

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "perf/rank_tests.h"
#include "perf/statistics.h"

namespace tern {
namespace {

struct Split {
  size_t at = 0;
  double distance = 0;
};

/// The split of these values with the largest weighted energy distance; at 0 when they are too few.
/// Sums of distances within and between the sides are kept up to date as one value after the other
/// goes from the right side to the left.
Split BestSplit(std::span<const double> values, size_t least) {
  const size_t n = values.size();
  Split best;
  if (n < 2 * least) return best;
  double left = 0, right = 0, between = 0;
  for (size_t i = 0; i < n; ++i)
    for (size_t j = i + 1; j < n; ++j) right += std::abs(values[i] - values[j]);
  for (size_t moved = 0; moved + least < n; ++moved) {
    double to_left = 0, to_right = 0;
    for (size_t i = 0; i < moved; ++i) to_left += std::abs(values[moved] - values[i]);
    for (size_t i = moved + 1; i < n; ++i) to_right += std::abs(values[moved] - values[i]);
    left += to_left;
    right -= to_right;
    between += to_right - to_left;
    const size_t at = moved + 1;
    if (at < least) continue;
    const auto l = static_cast<double>(at), r = static_cast<double>(n - at);
    const double energy = 2 * between / (l * r) - (l > 1 ? left / (l * (l - 1) / 2) : 0) -
                          (r > 1 ? right / (r * (r - 1) / 2) : 0);
    const double weighted = l * r / (l + r) * energy;
    if (best.at == 0 || weighted > best.distance) best = {at, weighted};
  }
  return best;
}

void Shuffle(std::vector<double>& values, Rng& rng) {
  for (size_t i = values.size(); i > 1; --i)
    std::swap(values[i - 1], values[static_cast<size_t>(rng.NextUnit() * static_cast<double>(i))]);
}

class Search {
 public:
  Search(std::span<const double> history, const ChangePointOptions& options)
      : history_(history), options_(options), rng_(options.seed) {}

  std::vector<ChangePoint> Run() {
    Divide(0, history_.size());
    std::sort(found_.begin(), found_.end(),
              [](const auto& a, const auto& b) { return a.index < b.index; });
    DropSmall();
    for (size_t i = 0; i < found_.size(); ++i) Relocate(i);
    SetMedians();
    return found_;
  }

 private:
  void Divide(size_t begin, size_t end) {
    std::vector<double> ranks = Ranks(history_.subspan(begin, end - begin));
    const Split split = BestSplit(ranks, options_.min_segment);
    if (split.at == 0) return;
    int better = 0;
    for (int i = 0; i < options_.permutations; ++i) {
      Shuffle(ranks, rng_);
      better += BestSplit(ranks, options_.min_segment).distance >= split.distance;
      if (P(better) > options_.significance) return;  // more can't make it smaller
    }
    found_.push_back({begin + split.at, 0, 0, P(better)});
    Divide(begin, begin + split.at);
    Divide(begin + split.at, end);
  }

  double P(int better) const {
    return static_cast<double>(better + 1) / static_cast<double>(options_.permutations + 1);
  }

  // The smallest first: without it, its neighbours' segments are longer and tell more.
  void DropSmall() {
    for (;;) {
      SetMedians();
      const auto effect = [](const ChangePoint& c) {
        return c.before != 0 ? std::abs(c.after / c.before - 1) : c.after != 0 ? 1.0 : 0.0;
      };
      const auto smallest =
          std::min_element(found_.begin(), found_.end(),
                           [&](const auto& a, const auto& b) { return effect(a) < effect(b); });
      if (smallest == found_.end() || effect(*smallest) >= options_.min_effect) return;
      found_.erase(smallest);
    }
  }

  size_t Begin(size_t i) const { return i > 0 ? found_[i - 1].index : 0; }
  size_t End(size_t i) const {
    return i + 1 < found_.size() ? found_[i + 1].index : history_.size();
  }

  // The split finds that there is a change; where it is, an outlier beside it can hide. So the
  // place is the one with the least squares around the two medians, where what is further than
  // three deviations from both counts for neither side.
  void Relocate(size_t i) {
    ChangePoint& change = found_[i];
    const auto part = history_.subspan(Begin(i), End(i) - Begin(i));
    std::vector<double> residuals;
    for (size_t k = 0; k < part.size(); ++k)
      residuals.push_back(
          std::abs(part[k] - (Begin(i) + k < change.index ? change.before : change.after)));
    const double bound = 3 * 1.4826 * Median(residuals);  // of the normal distribution
    const auto cost = [bound](double value, double centre) {
      return std::pow(std::min(std::abs(value - centre), bound), 2);
    };
    double sum = 0, best = 0;  // what the first k values cost more on the left than on the right
    size_t where = 0;
    for (size_t k = 0; k + options_.min_segment <= part.size(); ++k) {
      if (k >= options_.min_segment && (where == 0 || sum < best)) {
        best = sum;
        where = k;
      }
      sum += cost(part[k], change.before) - cost(part[k], change.after);
    }
    if (bound > 0 && where > 0) change.index = Begin(i) + where;
  }

  void SetMedians() {
    for (size_t i = 0; i < found_.size(); ++i) {
      const size_t begin = Begin(i), end = End(i);
      found_[i].before = Median(history_.subspan(begin, found_[i].index - begin));
      found_[i].after = Median(history_.subspan(found_[i].index, end - found_[i].index));
    }
  }

  std::span<const double> history_;
  const ChangePointOptions& options_;
  Rng rng_;
  std::vector<ChangePoint> found_;
};

}  // namespace

std::vector<ChangePoint> FindChangePoints(std::span<const double> history,
                                          const ChangePointOptions& options) {
  return Search(history, options).Run();
}

}  // namespace tern
