// Lines from the user.
#pragma once

#include <memory>
#include <string>

namespace tern::cli {

enum class ReadOutcome {
  kLine,
  kInterrupted,  // Ctrl-C: the line is void
  kEnd,          // Ctrl-D on an empty line, or the end of the input
};

class LineReader {
 public:
  virtual ~LineReader() = default;
  /// Asks for a line (without its newline). prompt is shown when somebody sits there.
  virtual ReadOutcome Read(const std::string& prompt, std::string& line) = 0;
  /// Whether somebody sits there.
  virtual bool interactive() const = 0;
};

/// On a terminal: editing and history by libedit, drawn on stderr. Else plain lines of standard
/// input. CatchInterrupts must have been called.
std::unique_ptr<LineReader> NewLineReader();

}  // namespace tern::cli
