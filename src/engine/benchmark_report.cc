// What is computed from the measured times of a row, and how it is shown.
#include <cmath>
#include <limits>

#include "engine/benchmark.h"
#include "perf/statistics.h"

namespace tern {
namespace {

// Mean bytes that one pass of a decode test reads: the weights once, and for each sequence the keys
// and values of every position up to the one being computed.
double BytesPerPass(const BenchmarkRow& row) {
  const double mean_positions =
      static_cast<double>(row.test.depth) + (static_cast<double>(row.test.generate) + 1) / 2;
  return static_cast<double>(row.cost.weight_bytes) + static_cast<double>(row.test.sequences) *
                                                          mean_positions *
                                                          static_cast<double>(row.cost.kv_bytes);
}

double Percent(double value, double limit) { return limit > 0 ? 100 * value / limit : 0; }

double NanUnlessPositive(double value) {
  return value > 0 ? value : std::numeric_limits<double>::quiet_NaN();
}

// "12.3 (45%)", "12.3", or "" for what isn't known.
std::string Share(double value, double percent) {
  if (value <= 0) return "";
  return percent > 0 ? fmt::format("{:.2f} ({:.0f}%)", value, percent)
                     : fmt::format("{:.2f}", value);
}

}  // namespace

std::string BenchmarkTest::Name() const {
  std::string name = generate > 0 ? fmt::format("tg{}", generate) : fmt::format("pp{}", prompt);
  if (sequences > 1) name += fmt::format(" x{}", sequences);
  if (depth > 0) name += fmt::format(" @ d{}", depth);
  return name;
}

double BenchmarkRow::Rate() const { return Mean(rates); }
double BenchmarkRow::Deviation() const { return SampleDeviation(rates); }
double BenchmarkRow::Latency(double p) const { return Percentile(latencies, p); }

double BenchmarkRow::GigabytesPerSecond() const {
  if (test.generate == 0) return 0;
  return 1e-9 * BytesPerPass(*this) * Rate() / static_cast<double>(test.sequences);
}

double BenchmarkRow::TeraOps() const {
  return 1e-12 * static_cast<double>(cost.ternary_ops) * Rate();
}

double BenchmarkRow::StreamPercent() const {
  return Percent(GigabytesPerSecond(), subject.limits.stream);
}

double BenchmarkRow::PeakPercent() const { return Percent(TeraOps(), subject.limits.peak); }

Record BenchmarkRow::ToRecord() const {
  Record record{test.Name(), Rate(), {}};
  const auto whole = [](auto value) { return static_cast<int64_t>(value); };
  record.fields = {
      {"test", test.Name()},
      {"model", subject.model},
      {"model_filename", subject.file},
      {"model_size", whole(subject.bytes)},
      {"model_n_params", subject.parameters},
      {"backend", subject.backend},
      {"n_threads", whole(subject.threads)},
      {"n_prompt", test.prompt},
      {"n_gen", test.generate},
      {"n_depth", test.depth},
      {"n_seqs", test.sequences},
      {"avg_ts", Rate()},
      {"stddev_ts", Deviation()},
      {"samples_ts", rates},
      {"p50_ms", Latency(50) * 1e3},
      {"p95_ms", Latency(95) * 1e3},
      {"p99_ms", Latency(99) * 1e3},
      {"weight_bytes", whole(cost.weight_bytes)},
      {"kv_bytes_per_token", whole(cost.kv_bytes)},
      {"gb_s", NanUnlessPositive(GigabytesPerSecond())},
      {"limit_gb_s", NanUnlessPositive(subject.limits.stream)},
      {"percent_of_stream", NanUnlessPositive(StreamPercent())},
      {"tops", TeraOps()},
      {"limit_tops", NanUnlessPositive(subject.limits.peak)},
      {"limit_isa", subject.limits.peak_name},
      {"percent_of_peak", NanUnlessPositive(PeakPercent())},
  };
  for (auto& field : GpuFields(gpu)) record.fields.push_back(std::move(field));
  return record;
}

bool BenchmarkResults::MeetsTargets(const BenchmarkTargets& targets) const {
  return std::all_of(rows.begin(), rows.end(), [&](const BenchmarkRow& row) {
    return (targets.min_rate <= 0 || row.Rate() >= targets.min_rate) &&
           (targets.max_p99_seconds <= 0 || row.Latency(99) <= targets.max_p99_seconds);
  });
}

std::string BenchmarkTableHead() {
  return "| model | size | params | backend | threads | test | t/s | P50 / P95 / P99 ms | GB/s (of "
         "stream) | TOPS (of peak) |\n"
         "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n";
}

std::string BenchmarkTableLine(const BenchmarkRow& row) {
  return fmt::format(
      "| {} | {:.2f} MiB | {:.2f} M | {} | {} | {} | {:.2f} ± {:.2f} | {:.2f} / {:.2f} / {:.2f} | "
      "{} | {} |\n",
      row.subject.model, static_cast<double>(row.subject.bytes) / (1 << 20),
      static_cast<double>(row.subject.parameters) / 1e6, row.subject.backend, row.subject.threads,
      row.test.Name(), row.Rate(), row.Deviation(), row.Latency(50) * 1e3, row.Latency(95) * 1e3,
      row.Latency(99) * 1e3, Share(row.GigabytesPerSecond(), row.StreamPercent()),
      Share(row.TeraOps(), row.PeakPercent()));
}

std::vector<std::pair<std::string, FieldValue>> GpuFields(const std::optional<GpuUse>& use,
                                                          std::string_view unit) {
  const auto scaled = [](std::optional<double> value, double scale) {
    return value ? *value * scale : std::numeric_limits<double>::quiet_NaN();
  };
  const GpuUse gpu = use.value_or(GpuUse{});
  const auto memory = gpu.memory_used ? std::optional(static_cast<double>(*gpu.memory_used))
                                      : std::optional<double>();
  return {{"gpu_utilization_percent", scaled(gpu.utilization, 100)},
          {"gpu_memory_utilization_percent", scaled(gpu.memory_utilization, 100)},
          {"gpu_power_w", scaled(gpu.power_watts, 1)},
          {"gpu_clock_mhz", scaled(gpu.clock_hertz, 1e-6)},
          {"gpu_memory_clock_mhz", scaled(gpu.memory_clock_hertz, 1e-6)},
          {"gpu_temperature_c", scaled(gpu.temperature_celsius, 1)},
          {"gpu_memory_mb", scaled(memory, 1e-6)},
          {fmt::format("gpu_j_per_{}", unit), scaled(gpu.JoulesPerToken(), 1)}};
}

std::string GpuLine(const Record& record) {
  struct Part {
    std::string_view field, format;
  };
  constexpr Part kParts[] = {{"gpu_utilization_percent", "{:.0f}% busy"},
                             {"gpu_power_w", "{:.0f} W"},
                             {"gpu_clock_mhz", "{:.0f} MHz"},
                             {"gpu_temperature_c", "{:.0f} °C"},
                             {"gpu_memory_mb", "{:.0f} MB"},
                             {"gpu_j_per_token", "{:.3g} J a token"},
                             {"gpu_j_per_row", "{:.3g} J a row"}};
  std::vector<std::string> words;
  for (const Part& part : kParts) {
    const FieldValue* value = record.Find(part.field);
    const auto* number = value == nullptr ? nullptr : std::get_if<double>(value);
    if (number != nullptr && !std::isnan(*number))
      words.push_back(fmt::format(fmt::runtime(part.format), *number));
  }
  return words.empty() ? "" : fmt::format("GPU, {}: {}\n", record.name, fmt::join(words, ", "));
}

std::string BenchmarkResults::Display() const {
  std::string table = BenchmarkTableHead();
  for (const BenchmarkRow& row : rows) table += BenchmarkTableLine(row);
  return table;
}

}  // namespace tern
