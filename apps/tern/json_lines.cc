#include "json_lines.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "formats/hf_json.h"

namespace tern::cli {
namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

struct Line {
  char* data = nullptr;
  size_t capacity = 0;
  ~Line() { std::free(data); }
};

bool IsBlank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

Status ForEachLine(std::FILE* file, const std::string& name, const LineAction& action) {
  Line line;
  for (int64_t number = 1;; ++number) {
    const ssize_t size = getline(&line.data, &line.capacity, file);
    if (size < 0) break;
    const std::string_view text(line.data, static_cast<size_t>(size));
    if (IsBlank(text)) continue;
    const std::string where = fmt::format("{}: line {}", name, number);
    TERN_ASSIGN_OR_RETURN(const nlohmann::json value, ParseJson(text, where));
    if (!value.is_object())
      return Fail(Code::kInvalidArgument, "{}: found {}, expected a JSON object", where,
                  value.type_name());
    TERN_TRY(action(value, where));
  }
  if (std::ferror(file))
    return Fail(Code::kInvalidArgument, "{}: can't be read: {}", name, std::strerror(errno));
  return {};
}

}  // namespace

Status ForEachJsonLine(const std::string& path, const LineAction& action) {
  if (path == "-") return ForEachLine(stdin, "standard input", action);
  const File file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) return Fail(Code::kNotFound, "{}: can't be opened: {}", path, std::strerror(errno));
  return ForEachLine(file.get(), path, action);
}

void PrintJsonLine(const nlohmann::ordered_json& value) {
  const std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  fmt::print("{}\n", text);
}

}  // namespace tern::cli
