// What main.cc knows about a subcommand.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "base/result.h"

namespace tern::cli {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitInterrupted = 130;  // 128 + SIGINT, as shells report it

/// Does the work once the options are parsed. Returns the exit code; an error becomes one line on
/// stderr and exit code 1 (130 when it is kCancelled).
using Action = std::function<Result<int>()>;

struct Command {
  const char* name;
  const char* summary;
  const char* examples;  // lines for the end of the help text
  /// Adds the options to the subcommand. What they are stored in belongs to the returned action.
  Action (*define)(CLI::App& app);
};

extern const Command kRunCommand;
extern const Command kChatCommand;
extern const Command kInfoCommand;
extern const Command kTokenizeCommand;
extern const Command kDetokenizeCommand;
extern const Command kPerplexityCommand;
extern const Command kLogitsCommand;
extern const Command kConvertCommand;
extern const Command kBenchCommand;
extern const Command kSynthCommand;
extern const Command kServeCommand;
extern const Command kBatchCommand;
extern const Command kProfileCommand;
extern const Command kTopCommand;
extern const Command kPerfCommand;

/// One line on stderr: "tern: error: <message>".
void PrintError(std::string_view message);
/// One line on stderr that is no failure: "tern: <message>".
void PrintNote(std::string_view message);

/// For what CLI11 can't see: prints the message and returns the exit code of wrong usage.
template <class... Args>
int UsageError(fmt::format_string<Args...> format, Args&&... args) {
  PrintError(fmt::format(format, std::forward<Args>(args)...));
  return kExitUsage;
}

}  // namespace tern::cli
