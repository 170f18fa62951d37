// Which CPUs this process may compute on.
#pragma once

#include <string>
#include <vector>

namespace tern {

/// Numbers of the CPUs in the calling thread's affinity mask, increasing; at least one.
std::vector<int> UsableCpus();

/// How many threads are worth having: the CPUs of the mask, but no more than the control group's
/// quota of CPU time pays for.
int UsableCpuCount();

/// CPUs that a cgroup v2 "cpu.max" file pays for, rounded up: "150000 100000" is 2; 0 when there is
/// no limit or the text is something else.
int CpusOfQuota(const std::string& cpu_max);

/// Keeps the calling thread on these CPUs. A refusal is ignored: it costs speed at most.
void BindToCpus(const std::vector<int>& cpus);

}  // namespace tern
