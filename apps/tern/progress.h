// A progress bar on stderr.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace tern::cli {

/// On a terminal: one line, redrawn in place once the work has lasted half a second, and wiped at
/// the end. Elsewhere: a line every ten seconds, so that a log stays readable.
class Progress {
 public:
  /// label: what is going on, e.g. "loading model".
  explicit Progress(std::string label);
  ~Progress() { Finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// done of total; `detail` follows the bar. Cheap to call often.
  void Update(int64_t done, int64_t total, std::string_view detail = {});
  /// Wipes the bar; what follows may be printed.
  void Finish();

 private:
  using Clock = std::chrono::steady_clock;

  std::string label_;
  bool terminal_;
  bool drawn_ = false;
  Clock::time_point next_;
};

/// Whether this stream is a terminal.
bool StderrIsTerminal();
bool StdoutIsTerminal();
bool StdinIsTerminal();

}  // namespace tern::cli
