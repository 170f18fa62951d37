// tern perf check --budgets: measures what the rows ask for.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "child_process.h"
#include "human.h"
#include "interrupt.h"
#include "perf/budgets.h"
#include "perf/callgrind.h"
#include "perf/statistics.h"
#include "perf_commands.h"
#include "platform/output_file.h"

namespace tern::cli {
namespace {

namespace fs = std::filesystem;

Result<std::string> ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Fail(Code::kNotFound, "{}: can't be opened: {}", path, std::strerror(errno));
  return std::string{std::istreambuf_iterator<char>(file), {}};
}

// Counts depend on what the environment holds: nothing but what a budget says comes in, and no
// cache of packed weights, no other CPU than the one that valgrind shows.
std::vector<std::string> FixedEnvironment(const std::vector<std::string>& more) {
  std::vector<std::string> env = {
      "env",      "-i",         "PATH=/usr/bin:/bin",
      "LC_ALL=C", "TERN_PIN=0", "GLIBC_TUNABLES=glibc.malloc.arena_max=1"};
  env.insert(env.end(), more.begin(), more.end());
  return env;
}

struct Figures {
  std::vector<double> values;  // none: absent
  std::string why;             // it is absent
};

class Meter {
 public:
  explicit Meter(std::string program) : program_(std::move(program)) {}

  Result<Figures> Measure(const Budget& budget) {
    switch (budget.kind) {
      case BudgetKind::kInstructions:
      case BudgetKind::kAllocations:
        return Count(budget);
      case BudgetKind::kSize:
        return Size(budget);
      case BudgetKind::kRegisters:
      case BudgetKind::kSpills:
        return Kernel(budget);
      default:
        return Rounds(budget);
    }
  }

 private:
  Result<Figures> Count(const Budget& budget) {
    std::vector<std::string> command = FixedEnvironment(budget.env);
    const std::string key = fmt::format("{}", fmt::join(budget.env, " ")) + " | " +
                            fmt::format("{}", fmt::join(budget.run, " "));
    auto known = profiles_.find(key);
    if (known == profiles_.end()) {
      if (!RunAndRead({"valgrind", "--version"})) return Figures{{}, "valgrind is not installed"};
      PrintNote(fmt::format("counting instructions: {}", key));
      const fs::path file = fs::temp_directory_path() /
                            fmt::format("tern-callgrind-{}-{}", ::getpid(), profiles_.size());
      command.insert(command.end(), {"valgrind", "--tool=callgrind", "--quiet",
                                     "--callgrind-out-file=" + file.string(), program_});
      command.insert(command.end(), budget.run.begin(), budget.run.end());
      const auto outcome = RunAndRead(command);
      const auto text = ReadText(file.string());
      std::error_code ec;
      fs::remove(file, ec);
      if (!outcome) return tl::unexpected(outcome.error());
      if (!text) return tl::unexpected(text.error());
      TERN_ASSIGN_OR_RETURN(InstructionProfile profile, ParseCallgrind(*text, "callgrind's file"));
      known = profiles_.emplace(key, std::move(profile)).first;
    }
    const InstructionProfile& profile = known->second;
    const uint64_t count = budget.kind == BudgetKind::kAllocations
                               ? profile.allocations
                               : profile.Instructions(budget.function);
    if (count == 0 && !budget.function.empty())
      return Figures{{}, fmt::format("no function with '{}' in its name ran", budget.function)};
    return Figures{{static_cast<double>(count)}, ""};
  }

  Result<Figures> Size(const Budget& budget) const {
    std::error_code ec;
    const std::string path = budget.file == "{program}" ? program_ : budget.file;
    const auto bytes = fs::file_size(path, ec);
    if (ec) return Figures{{}, fmt::format("{} is not there", path)};
    return Figures{{static_cast<double>(bytes)}, ""};
  }

  Result<Figures> Kernel(const Budget& budget) const {
    const auto text = ReadText(budget.file);
    if (!text) return Figures{{}, fmt::format("{} is not there: no kernel was built", budget.file)};
    const auto found = FindKernelResources(*text, budget.function);
    if (!found) return Figures{{}, fmt::format("{} has no such kernel", budget.file)};
    return Figures{{budget.kind == BudgetKind::kRegisters ? found->registers : found->spill_bytes},
                   ""};
  }

  Result<Figures> Rounds(const Budget& budget) const {
    const MeasuredProgram program{program_, budget.run, budget.env};
    const RowChoice choice{budget.field, budget.row, budget.row == "process"};
    Figures figures;
    for (int round = 0; round < budget.rounds; ++round) {
      if (Interrupted()) return Fail(Code::kCancelled, "stopped");
      PrintNote(fmt::format("{}: round {} of {}", budget.name, round + 1, budget.rounds));
      const auto results = RunRound(program, choice);
      // Who has no such figure (energy, on most machines) says so by leaving the row out.
      if (!results && results.error().code == Code::kInvalidArgument)
        return Figures{{}, results.error().message};
      if (!results) return tl::unexpected(results.error());
      for (const BaselineResult& result : *results)
        if (result.benchmark == budget.row && result.metric == budget.field)
          for (const double value : result.Values()) figures.values.push_back(value);
    }
    if (figures.values.empty())
      figures.why = fmt::format("no row '{}' with a field '{}'", budget.row, budget.field);
    return figures;
  }

  std::string program_;
  std::map<std::string, InstructionProfile> profiles_;
};

std::string Figure(double value) {
  return value >= 1e6 ? fmt::format("{:.0f}", value) : fmt::format("{:.6g}", value);
}

struct Checked {
  const Budget* budget;
  Figures figures;
  BudgetOutcome outcome;
};

std::string Line(const Checked& row) {
  const Budget& b = *row.budget;
  const double now = Median(row.figures.values);
  const bool absent = row.outcome == BudgetOutcome::kAbsent;
  return fmt::format(
      "| {} | {} | {} | {} | {} | {} |\n", b.name, BudgetKindName(b.kind),
      absent ? "" : Figure(now), Figure(b.accepted),
      absent || b.accepted == 0
          ? ""
          : fmt::format("{:+.2f}% of {:+.2f}%", 100 * (now / b.accepted - 1), 100 * b.margin),
      absent ? "absent: " + row.figures.why : std::string(BudgetOutcomeName(row.outcome)));
}

void Print(const std::vector<Checked>& rows, const std::string& output) {
  if (output == "json") {
    nlohmann::ordered_json out = nlohmann::ordered_json::array();
    for (const Checked& row : rows)
      out.push_back({{"name", row.budget->name},
                     {"kind", BudgetKindName(row.budget->kind)},
                     {"accepted", row.budget->accepted},
                     {"margin", row.budget->margin},
                     {"values", row.figures.values},
                     {"outcome", BudgetOutcomeName(row.outcome)},
                     {"why", row.figures.why}});
    fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  fmt::print(
      "| budget | kind | now | accepted | change | verdict |\n"
      "| --- | --- | ---: | ---: | ---: | --- |\n");
  for (const Checked& row : rows) fmt::print("{}", Line(row));
}

Status Accept(const BudgetOptions& options, const std::string& text,
              const std::vector<Checked>& rows) {
  std::vector<std::optional<double>> figures;
  for (const Checked& row : rows) {
    const bool take = IsRepeatable(row.budget->kind) && !row.figures.values.empty();
    figures.push_back(take ? std::optional(row.figures.values[0]) : std::nullopt);
  }
  TERN_ASSIGN_OR_RETURN(const std::string changed, AcceptBudgets(text, options.file, figures));
  TERN_ASSIGN_OR_RETURN(const auto file, OutputFile::Create(options.file));
  TERN_TRY(file->Write(std::as_bytes(std::span(changed))));
  TERN_TRY(file->Commit());
  PrintNote(fmt::format("{}: the figures of now are the accepted ones", options.file));
  return {};
}

}  // namespace

Result<int> CheckBudgets(const BudgetOptions& options) {
  TERN_ASSIGN_OR_RETURN(const std::string text, ReadText(options.file));
  TERN_ASSIGN_OR_RETURN(const std::vector<Budget> budgets, ParseBudgets(text, options.file));
  TERN_ASSIGN_OR_RETURN(const std::string program, ResolveProgram(options.program));
  Meter meter(program);
  std::vector<Checked> rows;
  for (const Budget& budget : budgets) {
    TERN_ASSIGN_OR_RETURN(Figures figures, meter.Measure(budget));
    const BudgetOutcome outcome = JudgeBudget(budget, figures.values);
    rows.push_back({&budget, std::move(figures), outcome});
  }
  Print(rows, options.output);
  if (options.accept) {
    TERN_TRY(Accept(options, text, rows));
    return kExitOk;
  }
  int over = 0, unknown = 0, absent = 0;
  for (const Checked& row : rows) {
    over += row.outcome == BudgetOutcome::kOver;
    unknown += row.outcome == BudgetOutcome::kUnknown;
    absent += row.outcome == BudgetOutcome::kAbsent;
  }
  PrintNote(fmt::format("budgets: {} of {} over, {} can't be told, {} absent", over, rows.size(),
                        unknown, absent));
  if (over > 0) return kExitSlower;
  return unknown > 0 ? kExitCantTell : kExitOk;
}

}  // namespace tern::cli
