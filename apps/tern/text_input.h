// Text and files that a command reads.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tern::cli {

/// A whole file, or standard input for "-". Errors name the file.
Result<std::string> ReadFileOrStdin(const std::string& path);

/// kInvalidArgument naming the byte where a text stops being UTF-8. `what` comes first: "prompt",
/// or a file.
Status CheckUtf8(std::string_view what, std::string_view text);

/// Name of the positional argument whose only value is "-"; the help shows it as that.
inline constexpr std::string_view kStdinPositional = "stdin";

/// [-p TEXT | -f FILE | -]: at most one of the three.
struct TextInput {
  std::string text, file, stdin_mark;
  CLI::Option* text_option = nullptr;
  CLI::Option* file_option = nullptr;
  CLI::Option* stdin_option = nullptr;
};

/// what: "prompt" or "text", for the help.
void AddTextInput(CLI::App& app, TextInput& input, std::string_view what);

/// A text, and where it came from for messages: "prompt", the file, or "standard input".
struct NamedText {
  std::string name;
  std::string text;
};

/// Nothing when none of the three was given. Checked to be UTF-8.
Result<std::optional<NamedText>> ReadTextInput(const TextInput& input);

}  // namespace tern::cli
