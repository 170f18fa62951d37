// tern bench --limits
#include "bench.h"
#include "command.h"
#include "human.h"
#include "interrupt.h"
#include "platform/machine.h"

namespace tern::cli {
namespace {

Record ToRecord(const Limit& limit, const MachineLimits& machine) {
  return {limit.name,
          limit.all,
          {{"test", limit.name},
           {"cpu_info", CpuName()},
           {"cpu_features", DescribeCpu(machine.features)},
           {"n_threads", int64_t{machine.threads}},
           {"unit", limit.unit},
           {"bytes_per_thread", static_cast<int64_t>(limit.bytes)},
           {"one_thread", limit.one},
           {"all_threads", limit.all},
           {"cpu_share", limit.cpu_share}}};
}

void PrintTable(const MachineLimits& machine) {
  fmt::print("{}, {} threads: {}\n\n", CpuName(), machine.threads, DescribeCpu(machine.features));
  fmt::print("| limit | working set a thread | unit | 1 thread | {} threads |\n", machine.threads);
  fmt::print("| --- | ---: | --- | ---: | ---: |\n");
  for (const Limit& limit : machine.limits)
    fmt::print("| {} | {} | {} | {:.3f} | {:.3f} |\n", limit.name,
               limit.bytes > 0 ? HumanBytes(limit.bytes) : "registers", limit.unit, limit.one,
               limit.all);
}

}  // namespace

Result<int> BenchLimits(const BenchOptions& options) {
  TERN_ASSIGN_OR_RETURN(const std::vector<Target> targets, ReadTargets(options));
  CatchInterrupts(OnSecondInterrupt::kExit);
  std::vector<Record> records;
  for (const int threads : options.threads.empty() ? std::vector<int>{0} : options.threads) {
    const MachineLimits machine = MeasureLimits(
        {.threads = threads, .runs = 4 * options.repetitions}, [](std::string_view name) {
          PrintNote(std::string(name));
          return !Interrupted();
        });
    if (Interrupted()) return Fail(Code::kCancelled, "stopped");
    for (const Limit& limit : machine.limits) {
      NoteIfDisturbed(limit);
      records.push_back(ToRecord(limit, machine));
    }
    if (options.output == "md") PrintTable(machine);
  }
  PrintRecords(records, options, "tern_limits");
  return Verdict(records, targets);
}

}  // namespace tern::cli
