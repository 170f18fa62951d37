#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>

#include "bench.h"
#include "command.h"

namespace tern::cli {
namespace {

const std::map<std::string, ReportFormat> kFormats = {{"csv", ReportFormat::kCsv},
                                                      {"json", ReportFormat::kJson},
                                                      {"jsonl", ReportFormat::kJsonl},
                                                      {"sql", ReportFormat::kSql}};

}  // namespace

void PrintRecords(const std::vector<Record>& records, const BenchOptions& options,
                  std::string_view table) {
  const auto format = kFormats.find(options.output);
  if (format != kFormats.end()) fmt::print("{}", FormatRecords(records, format->second, table));
}

Result<std::vector<Target>> ReadTargets(const BenchOptions& options) {
  std::vector<Target> targets;
  if (!options.targets_file.empty()) {
    std::ifstream file(options.targets_file, std::ios::binary);
    if (!file)
      return Fail(Code::kNotFound, "{}: can't be opened: {}", options.targets_file,
                  std::strerror(errno));
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    TERN_ASSIGN_OR_RETURN(targets, ParseTargets(text, options.targets_file));
  }
  const auto every_row = [&](const char* field, bool minimum, double bound) {
    if (bound > 0) targets.push_back({"*", field, minimum, bound});
  };
  every_row("rate", true, options.target_rate);
  every_row("p99_ms", false, options.target_p99_ms);
  every_row("memory_mb", false, options.target_memory_mb);
  every_row("gpu_utilization_percent", true, options.target_gpu_percent);
  return targets;
}

int Verdict(const std::vector<Record>& records, const std::vector<Target>& targets) {
  if (targets.empty()) return kExitOk;
  const std::vector<std::string> missed = MissedTargets(records, targets);
  for (const std::string& line : missed) PrintNote("missed: " + line);
  if (!missed.empty()) return kExitMissed;
  PrintNote(fmt::format("every target is met ({})", targets.size()));
  return kExitOk;
}

void NoteIfDisturbed(const Limit& limit) {
  constexpr double kNoticeable = 0.9;
  if (limit.cpu_share < kNoticeable)
    PrintNote(
        fmt::format("{}: the machine was busy, at best the threads had {:.0f}% of their CPUs: the "
                    "limit is higher",
                    limit.name, 100 * limit.cpu_share));
}

QuickLimits MeasureQuickLimits(int threads, std::string_view isa) {
  PrintNote("measuring the limits of the machine (--no-limits skips this)");
  const LimitOptions options{.threads = threads, .one_thread = false};
  QuickLimits limits;
  const Limit stream = MeasureDramRead(options);
  NoteIfDisturbed(stream);
  limits.stream_gb_s = stream.all;
  if (const auto peak = MeasureIntPeak(isa, options)) {
    NoteIfDisturbed(*peak);
    limits.peak_tops = peak->all;
  }
  return limits;
}

}  // namespace tern::cli
