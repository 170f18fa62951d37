#include "text_input.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "tokenizer/utf8.h"

namespace tern::cli {
namespace {

constexpr std::string_view kStdinName = "standard input";

Result<std::string> ReadStream(std::FILE* stream, std::string_view name) {
  std::string content;
  char chunk[1 << 16];
  while (const size_t n = std::fread(chunk, 1, sizeof chunk, stream)) content.append(chunk, n);
  if (std::ferror(stream))
    return Fail(Code::kInvalidArgument, "{}: can't be read: {}", name, std::strerror(errno));
  return content;
}

std::string NameOf(const std::string& path) { return path == "-" ? std::string(kStdinName) : path; }

}  // namespace

Result<std::string> ReadFileOrStdin(const std::string& path) {
  if (path == "-") return ReadStream(stdin, kStdinName);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             std::fclose);
  if (!file) return Fail(Code::kNotFound, "{}: can't be opened: {}", path, std::strerror(errno));
  return ReadStream(file.get(), path);
}

Status CheckUtf8(std::string_view what, std::string_view text) {
  const size_t valid = ValidUtf8Prefix(text);
  if (valid == text.size()) return {};
  return Fail(Code::kInvalidArgument, "{}: byte {} (0x{:02x}) is not UTF-8, expected UTF-8 text",
              what, valid, static_cast<unsigned char>(text[valid]));
}

void AddTextInput(CLI::App& app, TextInput& input, std::string_view what) {
  input.text_option =
      app.add_option("-p,--prompt", input.text, fmt::format("The {}", what))->option_text("TEXT");
  input.file_option =
      app.add_option("-f,--file", input.file, fmt::format("Read the {} from a file", what))
          ->option_text("FILE");
  input.stdin_option = app.add_option(std::string(kStdinPositional), input.stdin_mark,
                                      fmt::format("Read the {} from standard input", what));
  input.stdin_option->check([](const std::string& given) {
    return given == "-" ? "" : fmt::format("'{}' was not expected: a text goes with -p", given);
  });
  input.text_option->excludes(input.file_option)->excludes(input.stdin_option);
  input.file_option->excludes(input.stdin_option);
}

Result<std::optional<NamedText>> ReadTextInput(const TextInput& input) {
  NamedText result;
  if (!input.text_option->empty()) {
    result = {"prompt", input.text};
  } else if (!input.file_option->empty() || !input.stdin_option->empty()) {
    const std::string path = input.file_option->empty() ? "-" : input.file;
    TERN_ASSIGN_OR_RETURN(result.text, ReadFileOrStdin(path));
    result.name = NameOf(path);
  } else {
    return std::optional<NamedText>();
  }
  TERN_TRY(CheckUtf8(result.name, result.text));
  return std::optional<NamedText>(std::move(result));
}

}  // namespace tern::cli
