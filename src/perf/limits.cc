#include "perf/limits.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <span>

#include "base/math.h"
#include "perf/probes.h"
#include "perf/team.h"
#include "platform/cpu_set.h"
#include "platform/machine.h"

namespace tern {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kReadUnit = 512;    // what the reading loops take at once, and more
constexpr double kUndisturbed = 0.97;  // share of the CPUs; starting and ending costs a little
constexpr int kMoreRuns = 4;           // so many times the runs for a disturbed measurement
constexpr uint64_t kUnknownL1 = 32 << 10, kUnknownL2 = kMiB, kUnknownL3 = 32 * kMiB;

// Memory in large pages where the system has them, so that a limit is the memory's and not the page
// tables'.
class Pages {
 public:
  explicit Pages(size_t bytes) : bytes_(bytes) {
    void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) return;
    data_ = static_cast<std::byte*>(data);
    static_cast<void>(::madvise(data_, bytes_, MADV_HUGEPAGE));
  }
  ~Pages() {
    if (data_) ::munmap(data_, bytes_);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  std::byte* data() const { return data_; }

 private:
  size_t bytes_;
  std::byte* data_ = nullptr;
};

int Threads(const LimitOptions& options) {
  return options.threads > 0 ? options.threads : UsableCpuCount();
}

// The compiler can't drop work whose result ends here.
std::atomic<uint64_t> g_sink;

struct Rate {
  double value = 0;  // units a second
  double cpu_share = 1;
};

/// What `threads` threads do that each run body(thread, rounds), a round being units_per_round: the
/// best of the runs.
template <class Body>
Rate BestRate(int threads, double units_per_round, const LimitOptions& options, Body body,
              const std::function<void(int)>& prepare = {}) {
  const auto run = [&](int64_t rounds) {
    return RunTogether(
        threads, [&](int thread) { g_sink.fetch_xor(body(thread, rounds)); }, prepare);
  };
  // Counted in CPU time, because a short run may have been interrupted for long.
  int64_t rounds = 1;
  for (double cpu = run(rounds).cpu_seconds; cpu < options.seconds / 2;
       cpu = run(rounds).cpu_seconds)
    rounds *= cpu < options.seconds / 64 ? 16 : 2;
  TeamTime best = run(rounds);
  const auto disturbed = [&] { return best.CpuShare() < kUndisturbed; };
  for (int i = 1; i < options.runs || (i < kMoreRuns * options.runs && disturbed()); ++i) {
    const TeamTime time = run(rounds);
    if (time.seconds < best.seconds) best = time;
  }
  return {units_per_round * static_cast<double>(rounds) * threads / best.seconds, best.CpuShare()};
}

/// Measures one thread and all of them by rate(threads).
template <class Measure>
void MeasureBoth(Limit& limit, int threads, const LimitOptions& options, Measure rate) {
  const Rate all = rate(threads);
  const Rate one = threads == 1 ? all : options.one_thread ? rate(1) : Rate{};
  limit.all = all.value;
  limit.one = one.value;
  limit.cpu_share = std::min(all.cpu_share, one.cpu_share);
}

Rate ReadRate(const Pages& pages, uint64_t bytes, int threads, const LimitOptions& options) {
  const ReadFunction read = WidestRead(DetectCpu());
  const auto own = [&](int thread) { return pages.data() + static_cast<uint64_t>(thread) * bytes; };
  return BestRate(
      threads, 1e-9 * static_cast<double>(bytes), options,
      [&](int thread, int64_t rounds) { return read(own(thread), bytes, rounds); },
      [&](int thread) {
        // Writing once makes the pages real (and near); reading warms the caches.
        if (own(thread)[0] != std::byte{1}) std::memset(own(thread), 1, bytes);
        g_sink.fetch_xor(read(own(thread), bytes, 1));
      });
}

uint64_t Whole(uint64_t bytes) { return std::max(bytes / kReadUnit, uint64_t{1}) * kReadUnit; }

Limit MeasureRead(std::string name, uint64_t bytes_one, uint64_t bytes_each,
                  const LimitOptions& options) {
  const int threads = Threads(options);
  Limit limit{std::move(name), "GB/s", bytes_each};
  const Pages pages(std::max(bytes_one, bytes_each * static_cast<uint64_t>(threads)));
  if (!pages.data()) return limit;
  MeasureBoth(limit, threads, options, [&](int team) {
    return ReadRate(pages, team == threads ? bytes_each : bytes_one, team, options);
  });
  return limit;
}

bool Usable(const ComputeProbe& probe) { return (probe.needs & DetectCpu()) == probe.needs; }

Limit MeasureProbe(const ComputeProbe& probe, std::string name, const LimitOptions& options) {
  const int threads = Threads(options);
  Limit limit{std::move(name), "TOPS"};
  MeasureBoth(limit, threads, options, [&](int team) {
    return BestRate(team, 1e-12 * probe.ops_per_round, options, [&](int, int64_t rounds) {
      probe.run(rounds);
      return uint64_t{0};
    });
  });
  return limit;
}

std::optional<Limit> MeasureFastest(std::span<const ComputeProbe> probes, std::string_view kind,
                                    const LimitOptions& options) {
  const auto found = std::find_if(probes.rbegin(), probes.rend(), Usable);
  if (found == probes.rend()) return std::nullopt;
  return MeasureProbe(*found, fmt::format("{} {}", kind, found->name), options);
}

}  // namespace

const Limit* MachineLimits::Find(std::string_view name) const {
  const auto found = std::find_if(limits.begin(), limits.end(),
                                  [name](const Limit& limit) { return limit.name == name; });
  return found == limits.end() ? nullptr : &*found;
}

std::string IntLimitName(std::string_view isa) { return "int8 " + std::string(isa); }

Limit MeasureDramRead(const LimitOptions& options) {
  const auto threads = static_cast<uint64_t>(Threads(options));
  const uint64_t l3 = std::max(DetectCaches().l3, kUnknownL3);
  const uint64_t all = options.dram_bytes.value_or(std::max(4 * l3, threads * 32 * kMiB));
  return MeasureRead(std::string(kDramRead), Whole(all), Whole(all / threads), options);
}

Limit MeasureReadOf(uint64_t bytes, const LimitOptions& options) {
  const auto threads = static_cast<uint64_t>(Threads(options));
  // What fills a shared cache is soon driven out of it.
  if (bytes >= std::max(DetectCaches().l3, kUnknownL3) / 2) return MeasureDramRead(options);
  return MeasureRead("cache read", Whole(bytes), Whole(bytes / threads), options);
}

std::optional<Limit> MeasureFloatPeak(const LimitOptions& options) {
  return MeasureFastest(FloatProbes(), "f32", options);
}

std::optional<Limit> MeasureBfloat16Peak(const LimitOptions& options) {
  return MeasureFastest(Bfloat16Probes(), "bf16", options);
}

std::optional<Limit> MeasureIntPeak(std::string_view isa, const LimitOptions& options) {
  for (const ComputeProbe& probe : IntProbes())
    if (probe.name == isa && Usable(probe))
      return MeasureProbe(probe, IntLimitName(probe.name), options);
  return std::nullopt;
}

std::vector<Limit> MeasureIntPeaks(const LimitOptions& options, const LimitProgress& progress) {
  std::vector<Limit> limits;
  for (const ComputeProbe& probe : IntProbes()) {
    if (!Usable(probe)) continue;
    if (progress && !progress(IntLimitName(probe.name))) break;
    limits.push_back(MeasureProbe(probe, IntLimitName(probe.name), options));
  }
  return limits;
}

MachineLimits MeasureLimits(const LimitOptions& options, const LimitProgress& progress) {
  MachineLimits machine{Threads(options), DetectCpu(), {}};
  const auto threads = static_cast<uint64_t>(machine.threads);
  CacheSizes caches = DetectCaches();
  if (caches.l1d == 0) caches.l1d = kUnknownL1;
  if (caches.l2 == 0) caches.l2 = kUnknownL2;
  const auto add = [&](std::string name, uint64_t one, uint64_t each) {
    if (progress && !progress(name)) return false;
    machine.limits.push_back(MeasureRead(std::move(name), Whole(one), Whole(each), options));
    return true;
  };
  if (progress && !progress(kDramRead)) return machine;
  machine.limits.push_back(MeasureDramRead(options));
  // A shared cache is only measured when each thread's half of its share is well beyond the L2.
  const uint64_t share = caches.l3 / 2 / threads;
  if (share >= 3 * caches.l2 / 2 && !add("l3 read", std::max(share, 2 * caches.l2), share))
    return machine;
  if (!add("l2 read", caches.l2 / 2, caches.l2 / 2)) return machine;
  if (!add("l1 read", caches.l1d / 2, caches.l1d / 2)) return machine;
  std::vector<Limit> peaks = MeasureIntPeaks(options, progress);
  std::move(peaks.begin(), peaks.end(), std::back_inserter(machine.limits));
  for (const auto measure : {MeasureFloatPeak, MeasureBfloat16Peak}) {
    if (progress && !progress(measure == MeasureFloatPeak ? "f32" : "bf16")) break;
    if (auto peak = measure(options)) machine.limits.push_back(std::move(*peak));
  }
  return machine;
}

}  // namespace tern
