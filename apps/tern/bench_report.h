// tern bench --report DIR: what was measured as one page, with what was measured before.
#pragma once

#include <string>
#include <vector>

#include "output_folder.h"
#include "profile/bench_page.h"

namespace tern::cli {

/// Points of earlier measurements: reports that this command wrote (bench.json), rows of -o json,
/// and baselines of `tern perf` (SQLite). Errors: a file that can't be read or is none of these.
Result<std::vector<HistoryPoint>> ReadHistory(const std::vector<std::string>& files);

/// Adds date, command line, machine and build to the page, and what the folder's history.jsonl
/// holds; writes index.html, bench.json and the history with the new points.
Status WriteReport(const OutputFolder& folder, BenchPage page);

/// Keeps the command line for the page; main() calls it.
void KeepCommandLine(int argc, char** argv);

}  // namespace tern::cli
