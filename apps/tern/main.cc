// The program: a table of subcommands, and what an outcome means for the exit code.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "bench_report.h"
#include "command.h"
#include "help_formatter.h"
#include "human.h"

namespace tern::cli {
namespace {

const Command* const kCommands[] = {
    &kRunCommand,        &kChatCommand,   &kInfoCommand,    &kTokenizeCommand, &kDetokenizeCommand,
    &kPerplexityCommand, &kLogitsCommand, &kConvertCommand, &kBenchCommand,    &kSynthCommand,
    &kServeCommand,      &kBatchCommand,  &kProfileCommand, &kTopCommand,      &kPerfCommand,
};

constexpr const char* kSummary = "Runs ternary (BitNet b1.58) language models.";
constexpr const char* kExamples =
    "Examples:\n"
    "  tern run                                    a story from the built-in model\n"
    "  tern run -m model.gguf -p \"The moon is\"     continue a text\n"
    "  tern COMMAND --help                         options and examples of a command";

int Fail(const Error& error) {
  PrintError(error.message);
  return error.code == Code::kCancelled ? kExitInterrupted : kExitFailure;
}

// Help and version go to stdout and are no failure; everything else is wrong usage.
int ParseOutcome(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app.exit(error);
  const auto chosen = app.get_subcommands();
  const CLI::App& asked = chosen.empty() ? app : *chosen[0];
  // CLI11 asks for what is missing before it looks at what is too much, e.g. a misspelt option.
  const std::vector<std::string> extra = asked.remaining();
  const std::string what =
      extra.empty() ? error.what() : fmt::format("'{}' was not expected", extra[0]);
  PrintError(
      fmt::format("{} (see {}{} --help)", what, chosen.empty() ? "" : "tern ", asked.get_name()));
  return kExitUsage;
}

int Execute(const Action& action) {
  const Result<int> outcome = action();
  int code = outcome ? *outcome : Fail(outcome.error());
  if ((std::fflush(stdout) != 0 || std::ferror(stdout)) && code == kExitOk) {
    PrintError(fmt::format("standard output: {}", std::strerror(errno)));
    code = kExitFailure;
  }
  return code;
}

// CLI11 knows no long option with one dash, and people know these from llama.cpp.
std::string_view OptionName(std::string_view argument) {
  if (argument == "-npl") return "--npl";
  if (argument == "-ngl") return "--gpu-layers";
  return argument == "-np" ? "--np" : argument;
}

// Arguments as CLI11 takes them, last one first.
std::vector<std::string> Arguments(int argc, char** argv) {
  std::vector<std::string> arguments;
  for (int i = argc - 1; i > 0; --i) arguments.emplace_back(OptionName(argv[i]));
  return arguments;
}

bool IsCommand(std::string_view name) {
  for (const Command* command : kCommands)
    if (name == command->name) return true;
  return false;
}

int Main(int argc, char** argv) {
  CLI::App app(kSummary, "tern");
  app.set_version_flag("--version", "tern " TERN_VERSION, "Print the version and exit");
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.footer(kExamples);
  app.formatter(std::make_shared<HelpFormatter>());
  std::vector<std::pair<CLI::App*, Action>> commands;
  for (const Command* command : kCommands) {
    CLI::App* sub = app.add_subcommand(command->name, command->summary)->group("Commands");
    sub->footer(fmt::format("Examples:\n{}", command->examples));
    commands.emplace_back(sub, command->define(*sub));
  }
  if (argc < 2) {
    fmt::print("{}", app.help());
    return kExitOk;
  }
  if (argv[1][0] != '-' && !IsCommand(argv[1]))
    return UsageError("there is no command '{}' (tern --help lists them)", argv[1]);
  try {
    app.parse(Arguments(argc, argv));
  } catch (const CLI::ParseError& error) {
    return ParseOutcome(app, error);
  }
  for (const auto& [sub, action] : commands)
    if (sub->parsed()) return Execute(action);
  return UsageError("no command given (tern --help lists them)");
}

}  // namespace

void PrintError(std::string_view message) {
  fmt::print(stderr, "tern: error: {}\n", OneLine(message));
}
void PrintNote(std::string_view message) { fmt::print(stderr, "tern: {}\n", OneLine(message)); }

}  // namespace tern::cli

int main(int argc, char** argv) {
  tern::cli::KeepCommandLine(argc, argv);
  try {
    return tern::cli::Main(argc, argv);
  } catch (const std::bad_alloc&) {
    tern::cli::PrintError("out of memory");
  } catch (const std::exception& error) {
    tern::cli::PrintError(fmt::format("internal: {}", error.what()));
  }
  return tern::cli::kExitFailure;
}
