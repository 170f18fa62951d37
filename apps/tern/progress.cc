#include "progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace tern::cli {
namespace {

using std::chrono::milliseconds;

constexpr auto kFirstDraw = milliseconds(500);
constexpr auto kRedraw = milliseconds(100);
constexpr auto kLogLine = milliseconds(10000);
constexpr int64_t kBarWidth = 30;

}  // namespace

Progress::Progress(std::string label)
    : label_(std::move(label)),
      terminal_(StderrIsTerminal()),
      next_(Clock::now() + (terminal_ ? kFirstDraw : kLogLine)) {}

void Progress::Update(int64_t done, int64_t total, std::string_view detail) {
  const Clock::time_point now = Clock::now();
  if (now < next_ || total <= 0) return;
  next_ = now + (terminal_ ? kRedraw : kLogLine);
  const int64_t percent = done * 100 / total;
  if (!terminal_) {
    fmt::print(stderr, "tern: {}: {}% {}\n", label_, percent, detail);
    return;
  }
  const auto filled = static_cast<size_t>(done * kBarWidth / total);
  const std::string bar(filled, '#');
  fmt::print(stderr, "\r{} [{:.<{}}] {:3}% {}\x1b[K", label_, bar, kBarWidth, percent, detail);
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::Finish() {
  if (drawn_) fmt::print(stderr, "\r\x1b[K");
  drawn_ = false;
}

bool StderrIsTerminal() { return isatty(STDERR_FILENO) != 0; }
bool StdoutIsTerminal() { return isatty(STDOUT_FILENO) != 0; }
bool StdinIsTerminal() { return isatty(STDIN_FILENO) != 0; }

}  // namespace tern::cli
