#include "live_stats.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

#include "progress.h"

namespace tern::cli {
namespace {

constexpr int kMinRows = 3;  // a terminal lower than this has no room for a line of its own
constexpr auto kRedraw = std::chrono::milliseconds(200);
constexpr auto kLogLine = std::chrono::milliseconds(1000);

// Control sequences of the VT100 (ECMA-48) that every terminal of today knows.
constexpr const char* kSave =
    "\x1b"
    "7";
constexpr const char* kRestore =
    "\x1b"
    "8";
constexpr const char* kClearToEnd = "\x1b[K";

int TerminalRows() {
  winsize size = {};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

}  // namespace

StatusLine::StatusLine() {
  if (!StderrIsTerminal()) return;
  rows_ = TerminalRows();
  mode_ = StdoutIsTerminal() && rows_ >= kMinRows ? Mode::kBottom : Mode::kInPlace;
  if (mode_ != Mode::kBottom) return;
  // Makes room at the bottom, then keeps scrolling to the lines above (DECSTBM moves the cursor).
  std::fflush(stdout);
  fmt::print(stderr, "\n\x1b[A{}\x1b[1;{}r{}", kSave, rows_ - 1, kRestore);
}

StatusLine::~StatusLine() {
  if (mode_ == Mode::kInPlace) fmt::print(stderr, "\r{}", kClearToEnd);
  if (mode_ != Mode::kBottom) return;
  std::fflush(stdout);
  fmt::print(stderr, "{}\x1b[r\x1b[{};1H{}{}", kSave, rows_, kClearToEnd, kRestore);
}

void StatusLine::Show(const std::string& text) {
  switch (mode_) {
    case Mode::kBottom:
      std::fflush(stdout);
      fmt::print(stderr, "{}\x1b[{};1H{}{}{}", kSave, rows_, text, kClearToEnd, kRestore);
      break;
    case Mode::kInPlace:
      fmt::print(stderr, "\r{}{}", text, kClearToEnd);
      break;
    case Mode::kLog:
      fmt::print(stderr, "tern: {}\n", text);
  }
}

void LiveStats::Forwarded(int64_t rows) {
  const Clock::time_point now = Clock::now();
  const bool decoding = prefill_ >= prompt_;
  if (decoding) {
    ++decoded_;
  } else {
    prefill_ += rows;
    decode_start_ = now;
  }
  if (now < next_) return;
  next_ = now + (StderrIsTerminal() ? kRedraw : kLogLine);
  const std::chrono::duration<double> taken = now - (decoding ? decode_start_ : start_);
  const int64_t tokens = decoding ? decoded_ : prefill_;
  line_.Show(fmt::format("{} {} tokens, {:.1f} tokens/s", decoding ? "decode" : "prefill", tokens,
                         static_cast<double>(tokens) / taken.count()));
}

}  // namespace tern::cli
