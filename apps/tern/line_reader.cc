#include "line_reader.h"

#include <histedit.h>
#include <langinfo.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "interrupt.h"
#include "progress.h"
#include "tokenizer/utf8.h"

namespace tern::cli {
namespace {

static_assert(sizeof(wchar_t) == sizeof(char32_t), "wide characters are taken for code points");

constexpr int kHistorySize = 1000;
constexpr char32_t kReplacement = 0xfffd;

std::wstring Widen(std::string_view text) {
  std::wstring wide;
  while (!text.empty()) {
    const Utf8Step step = NextUtf8(text);
    const bool good = step.kind == Utf8Kind::kCharacter;
    wide.push_back(static_cast<wchar_t>(good ? step.code_point : kReplacement));
    text.remove_prefix(step.length);
  }
  return wide;
}

std::string Narrow(std::wstring_view wide) {
  std::string text;
  for (const wchar_t c : wide) AppendUtf8(static_cast<char32_t>(c), text);
  return text;
}

// libedit draws wide characters only in a UTF-8 locale.
void UseUtf8Locale() {
  std::setlocale(LC_CTYPE, "");
  if (std::string_view(nl_langinfo(CODESET)) != "UTF-8") std::setlocale(LC_CTYPE, "C.UTF-8");
}

// One byte of standard input: 1, 0 at its end, -1 on an error or a Ctrl-C. Other signals (a new
// window size, the return from a Ctrl-Z) are no reason to give up. A Ctrl-C just before a read
// would not interrupt it, so the flag is looked at again and again.
int ReadByte(char& byte) {
  constexpr int kLookMilliseconds = 100;
  while (!Interrupted()) {
    pollfd input = {STDIN_FILENO, POLLIN, 0};
    if (poll(&input, 1, kLookMilliseconds) <= 0) continue;
    const ssize_t n = read(STDIN_FILENO, &byte, 1);
    if (n >= 0) return static_cast<int>(n);
    if (errno != EINTR) return -1;
  }
  return -1;
}

// libedit's own reader swallows the first interruption; this one gives the line up at once.
int ReadCharacter(EditLine*, wchar_t* out) {
  std::string bytes;
  while (true) {
    char byte = 0;
    const int outcome = ReadByte(byte);
    if (outcome != 1) return outcome;
    bytes.push_back(byte);
    const Utf8Step step = NextUtf8(bytes);
    if (step.kind == Utf8Kind::kIncomplete) continue;
    const bool good = step.kind == Utf8Kind::kCharacter;
    *out = static_cast<wchar_t>(good ? step.code_point : kReplacement);
    return 1;
  }
}

wchar_t* PromptOf(EditLine* editor) {
  void* prompt = nullptr;
  el_wget(editor, EL_CLIENTDATA, &prompt);
  return static_cast<std::wstring*>(prompt)->data();
}

class TerminalReader final : public LineReader {
 public:
  TerminalReader() : history_(history_winit()) {
    UseUtf8Locale();
    editor_ = el_init("tern", stdin, stderr, stderr);
    HistEventW event;
    history_w(history_, &event, H_SETSIZE, kHistorySize);
    history_w(history_, &event, H_SETUNIQUE, 1);
    el_wset(editor_, EL_CLIENTDATA, &prompt_);
    el_wset(editor_, EL_PROMPT, PromptOf);
    el_wset(editor_, EL_EDITOR, L"emacs");
    el_wset(editor_, EL_HIST, history_w, history_);
    el_wset(editor_, EL_GETCFN, ReadCharacter);
    el_wset(editor_, EL_SIGNAL, 1);
    el_source(editor_, nullptr);
  }
  ~TerminalReader() override {
    el_end(editor_);
    history_wend(history_);
  }

  ReadOutcome Read(const std::string& prompt, std::string& line) override {
    Interrupted() = false;
    prompt_ = Widen(prompt);
    // libedit shows the prompt before it takes the terminal over; whoever types at once, e.g.
    // Ctrl-D, must not be caught in between.
    el_wset(editor_, EL_PREP_TERM, 1);
    int count = 0;
    const wchar_t* text = el_wgets(editor_, &count);
    if (Interrupted().exchange(false)) {
      std::fputc('\n', stderr);
      return ReadOutcome::kInterrupted;
    }
    if (text == nullptr || count <= 0) {
      std::fputc('\n', stderr);
      return ReadOutcome::kEnd;
    }
    std::wstring_view entered(text, static_cast<size_t>(count));
    if (entered.ends_with(L'\n')) entered.remove_suffix(1);
    line = Narrow(entered);
    if (!entered.empty()) {
      HistEventW event;
      history_w(history_, &event, H_ENTER, std::wstring(entered).c_str());
    }
    return ReadOutcome::kLine;
  }
  bool interactive() const override { return true; }

 private:
  HistoryW* history_;
  EditLine* editor_ = nullptr;
  std::wstring prompt_;
};

class PlainReader final : public LineReader {
 public:
  ~PlainReader() override { std::free(data_); }

  ReadOutcome Read(const std::string&, std::string& line) override {
    const ssize_t size = getline(&data_, &capacity_, stdin);
    if (Interrupted().exchange(false)) {
      std::clearerr(stdin);
      return ReadOutcome::kInterrupted;
    }
    if (size < 0) return ReadOutcome::kEnd;
    line.assign(data_, static_cast<size_t>(size));
    if (line.ends_with('\n')) line.pop_back();
    return ReadOutcome::kLine;
  }
  bool interactive() const override { return false; }

 private:
  char* data_ = nullptr;
  size_t capacity_ = 0;
};

}  // namespace

std::unique_ptr<LineReader> NewLineReader() {
  if (StdinIsTerminal() && StderrIsTerminal()) return std::make_unique<TerminalReader>();
  return std::make_unique<PlainReader>();
}

}  // namespace tern::cli
