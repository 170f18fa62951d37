// tern perf: baselines, comparisons with confidence, budgets.
#include <CLI/CLI.hpp>

#include "perf_commands.h"

namespace tern::cli {
namespace {

struct Part {
  const char* name;
  const char* summary;
  const char* examples;
  Action (*define)(CLI::App& app);
};

const Part kParts[] = {
    {"record", "Measure, and keep every sample under a name",
     "  tern perf record --name main -- bench -p 64 -n 16\n"
     "  tern perf record --name main --program build/release/tern --rounds 30 -- bench "
     "--bitlinear\n"
     "  tern perf record --name start --process -- run -p Once -n 8",
     DefinePerfRecord},
    {"list", "The baselines that are there", "  tern perf list", DefinePerfList},
    {"show", "One baseline: machine, limits, medians and spread of each run",
     "  tern perf show main", DefinePerfShow},
    {"compare", "Two baselines with each other", "  tern perf compare main feature --tolerance 3%",
     DefinePerfCompare},
    {"check", "Is this program slower than a baseline, or over a budget?",
     "  tern perf check --baseline main --tolerance 5%\n"
     "  tern perf check --baseline main --program build/new/tern -o html > report.html\n"
     "  tern perf check --budgets bench/budgets.json\n"
     "  tern perf check --budgets bench/budgets.json --accept",
     DefinePerfCheck},
    {"ab", "Two programs, option sets or environments in turn",
     "  tern perf ab --a old/tern --b new/tern -- bench -p 64 -n 0\n"
     "  tern perf ab --a-env TERN_FORCE_ISA=avx2 --b-env TERN_FORCE_ISA=avx512vnni -- bench -n 0\n"
     "  tern perf ab --b-arg=--kv --b-arg=int8 -- bench -p 0 -n 32 -d 2048",
     DefinePerfAb},
    {"history", "Which run made it slower: change points over a baseline's runs",
     "  tern perf history main\n"
     "  tern perf history main -o html > history.html",
     DefinePerfHistory},
    {"export", "Runs as JSON, to carry elsewhere", "  tern perf export main > main.json",
     DefinePerfExport},
    {"import", "Take in runs that were exported", "  tern perf import main.json", DefinePerfImport},
    {"machine", "What identifies this machine and this build", "  tern perf machine -o json",
     DefinePerfMachine},
};

Action Define(CLI::App& app) {
  app.require_subcommand(1);
  std::vector<std::pair<CLI::App*, Action>> parts;
  for (const Part& part : kParts) {
    CLI::App* sub = app.add_subcommand(part.name, part.summary)->group("Commands");
    sub->footer(fmt::format("Examples:\n{}", part.examples));
    parts.emplace_back(sub, part.define(*sub));
  }
  return [parts]() -> Result<int> {
    for (const auto& [sub, action] : parts)
      if (sub->parsed()) return action();
    return UsageError("no command given (see tern perf --help)");
  };
}

}  // namespace

const Command kPerfCommand = {"perf", "Baselines, comparisons with confidence, budgets",
                              "  tern perf record --name main -- bench -p 64 -n 16\n"
                              "  tern perf check --baseline main --tolerance 5%\n"
                              "  tern perf ab --a old/tern --b new/tern -- bench -p 64 -n 0\n"
                              "  tern perf COMMAND --help",
                              Define};

}  // namespace tern::cli
