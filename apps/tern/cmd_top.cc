// tern top: a running server at a glance, again and again.
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <optional>

#include "command.h"
#include "interrupt.h"
#include "server/http_client.h"
#include "top_view.h"

namespace tern::cli {
namespace {

struct Options {
  std::string url = "http://127.0.0.1:8080";
  std::string key;
  double interval = 1;
  bool once = false;
};

constexpr std::chrono::seconds kTimeout(5);
constexpr int kUnauthorized = 401;

// The terminal's second screen, so that what was there before comes back.
class Screen {
 public:
  explicit Screen(bool terminal) : terminal_(terminal) {
    if (terminal_) Write("\x1b[?1049h\x1b[?25l");
  }
  ~Screen() {
    if (terminal_) Write("\x1b[?25h\x1b[?1049l");
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  TopStyle style() const {
    winsize size{};
    const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return {.columns = known ? size.ws_col : 80, .color = terminal_};
  }

  // Over what stands there, without a moment of emptiness; a block of lines where it is no
  // terminal.
  void Show(const std::string& text) const {
    if (!terminal_) return Write(text + "\n");
    std::string out = "\x1b[H";
    for (const char c : text) {
      if (c == '\n') out += "\x1b[K";
      out += c;
    }
    Write(out + "\x1b[J");
  }

 private:
  static void Write(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }

  const bool terminal_;
};

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Result<TopLook> TakeLook(const HttpUrl& url, const Options& options) {
  TERN_ASSIGN_OR_RETURN(const HttpAnswer answer, HttpGet(url, options.key, kTimeout));
  if (answer.status == kUnauthorized)
    return Fail(Code::kInvalidArgument, "{}: the server wants a key (--api-key)", options.url);
  if (answer.status != 200)
    return Fail(Code::kNotFound, "{}: {} has status {}, expected 200", options.url, url.path,
                answer.status);
  auto samples = ParsePrometheusText(answer.body);
  if (samples.empty())
    return Fail(Code::kCorrupt, "{}: found no metric at {}, expected Prometheus' text format",
                options.url, url.path);
  return TopLook(Now(), std::move(samples));
}

// False after Ctrl-C.
bool Wait(double seconds) {
  timespec time{};
  time.tv_sec = static_cast<time_t>(seconds);
  time.tv_nsec = static_cast<long>((seconds - static_cast<double>(time.tv_sec)) * 1e9);
  while (!Interrupted() && nanosleep(&time, &time) != 0) {
  }
  return !Interrupted();
}

std::string Head(const Options& options) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return fmt::format("tern top   {}   {:02}:{:02}:{:02}\n", options.url, local.tm_hour,
                     local.tm_min, local.tm_sec);
}

Result<int> Top(const Options& options) {
  TERN_ASSIGN_OR_RETURN(HttpUrl url, ParseHttpUrl(options.url));
  if (url.path == "/") url.path = "/metrics";
  CatchInterrupts(OnSecondInterrupt::kExit);
  // A server that isn't there is wrong usage at first; later it may come back.
  TERN_ASSIGN_OR_RETURN(TopLook first, TakeLook(url, options));
  std::optional<TopLook> before = std::move(first);
  const Screen screen(!options.once && isatty(STDOUT_FILENO));
  if (!options.once) screen.Show(Head(options) + RenderTop(nullptr, *before, screen.style()));
  while (Wait(options.interval)) {
    auto look = TakeLook(url, options);
    if (!look) {
      if (options.once) return tl::unexpected(look.error());
      screen.Show(Head(options) + look.error().message + "\n");
      before.reset();
      continue;
    }
    screen.Show(Head(options) + RenderTop(before ? &*before : nullptr, *look, screen.style()));
    if (options.once || std::ferror(stdout)) break;
    before = *std::move(look);
  }
  return kExitOk;
}

Action Define(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("--url", options->url, "Where the server is (default http://127.0.0.1:8080)")
      ->option_text("URL");
  app.add_option("--interval", options->interval, "Seconds between two looks (default 1)")
      ->option_text("SECONDS")
      ->check(CLI::Range(0.1, 3600.0));
  app.add_flag("--once", options->once, "Look twice, an interval apart, print that and end");
  app.add_option("--api-key", options->key, "Key, if the server asks for one")
      ->option_text("KEY")
      ->envname("TERN_API_KEY");
  return [options] { return Top(*options); };
}

}  // namespace

const Command kTopCommand = {
    "top", "Watch a running server: rates, times, cache, memory, alerts",
    "  tern top                                     the server on this machine\n"
    "  tern top --url http://10.0.0.7:8080 --once   one look, for scripts",
    Define};

}  // namespace tern::cli
