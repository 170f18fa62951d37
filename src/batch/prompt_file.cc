#include "batch/prompt_file.h"

#include <algorithm>

#include "batch/csv.h"
#include "batch/item_json.h"
#include "formats/digest.h"
#include "tokenizer/utf8.h"

namespace tern {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::string_view TextOf(const MappedFile& file) {
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  return text.starts_with(kByteOrderMark) ? text.substr(kByteOrderMark.size()) : text;
}

bool IsBlank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == text.npos; }

std::string_view WithoutLineBreak(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::optional<size_t> ColumnOf(const std::vector<std::string>& header, std::string_view name) {
  const auto found = std::find(header.begin(), header.end(), name);
  if (found == header.end()) return std::nullopt;
  return static_cast<size_t>(found - header.begin());
}

void CheckText(BatchItem& item) {
  const size_t valid = ValidUtf8Prefix(item.prompt);
  std::string problem;
  if (valid < item.prompt.size())
    problem = fmt::format("prompt: byte {} (0x{:02x}) is not UTF-8, expected UTF-8 text", valid,
                          static_cast<unsigned char>(item.prompt[valid]));
  else if (item.prompt.empty() && item.messages.empty())
    problem = "prompt: found an empty text, expected something to continue";
  if (!problem.empty())
    item.error = Error{Code::kInvalidArgument, fmt::format("{}: {}", item.where, problem)};
}

}  // namespace

Result<BatchFormat> BatchFormatOf(const std::string& path) {
  if (path.ends_with(".txt")) return BatchFormat::kText;
  if (path.ends_with(".csv")) return BatchFormat::kCsv;
  if (path.ends_with(".jsonl")) return BatchFormat::kJsonLines;
  return Fail(Code::kInvalidArgument, "{}: the name tells no format, expected .txt, .csv or .jsonl",
              path);
}

Result<PromptFile> PromptFile::Open(const std::string& path, GenerationOptions defaults) {
  TERN_ASSIGN_OR_RETURN(const BatchFormat format, BatchFormatOf(path));
  TERN_ASSIGN_OR_RETURN(auto mapped, MappedFile::Open(path));
  PromptFile file(std::move(mapped), format, std::move(defaults));
  if (format == BatchFormat::kCsv) TERN_TRY(file.ReadHeader());
  return file;
}

PromptFile::PromptFile(std::shared_ptr<const MappedFile> file, BatchFormat format,
                       GenerationOptions defaults)
    : file_(std::move(file)),
      format_(format),
      defaults_(std::move(defaults)),
      rest_(TextOf(*file_)) {}

Status PromptFile::ReadHeader() {
  if (rest_.empty())
    return Fail(Code::kCorrupt, "{}: found an empty file, expected a header with a column prompt",
                file_->path());
  const std::string where = file_->path() + ": line 1";
  const CsvRecord header = ReadCsvRecord(rest_);
  if (!header.problem.empty()) return Fail(Code::kCorrupt, "{}: {}", where, header.problem);
  const auto prompt = ColumnOf(header.fields, "prompt");
  if (!prompt)
    return Fail(Code::kCorrupt, "{}: found the columns {}, expected one named prompt", where,
                fmt::join(header.fields, ", "));
  columns_ = header.fields.size();
  prompt_column_ = *prompt;
  id_column_ = ColumnOf(header.fields, "id");
  Take(header.size);
  return {};
}

void PromptFile::Rewind() {
  rest_ = TextOf(*file_);
  line_ = 1;
  index_ = 0;
  if (format_ == BatchFormat::kCsv) Take(ReadCsvRecord(rest_).size);
}

std::string_view PromptFile::Take(size_t size) {
  const std::string_view taken = rest_.substr(0, size);
  line_ += std::count(taken.begin(), taken.end(), '\n');
  rest_.remove_prefix(size);
  return taken;
}

std::string_view PromptFile::TakeLine() {
  const size_t end = rest_.find('\n');
  return Take(end == rest_.npos ? rest_.size() : end + 1);
}

BatchItem PromptFile::NewItem(int64_t line, std::string_view bytes) {
  BatchItem item;
  item.index = index_++;
  item.line = line;
  item.where = fmt::format("{}: line {}", file_->path(), line);
  item.key = Digest(bytes);
  item.options = defaults_;
  item.options.sampling.seed += static_cast<uint64_t>(item.index);
  return item;
}

std::optional<BatchItem> PromptFile::Next() {
  auto item = format_ == BatchFormat::kCsv ? NextRow() : NextLine();
  if (item && !item->error) CheckText(*item);
  return item;
}

std::optional<BatchItem> PromptFile::NextLine() {
  while (!rest_.empty()) {
    const int64_t line = line_;
    const std::string_view text = WithoutLineBreak(TakeLine());
    if (IsBlank(text)) continue;
    BatchItem item = NewItem(line, text);
    if (text.size() > kMaxRecordBytes)
      item.error =
          Error{Code::kInvalidArgument, fmt::format("{}: found {} bytes, expected at most {}",
                                                    item.where, text.size(), kMaxRecordBytes)};
    else if (format_ == BatchFormat::kText)
      item.prompt = text;
    else if (const Status parsed = ParseItem(text, item.where, last_, item); !parsed)
      item.error = parsed.error();
    return item;
  }
  return std::nullopt;
}

std::optional<BatchItem> PromptFile::NextRow() {
  while (!rest_.empty()) {
    const int64_t line = line_;
    CsvRecord record = ReadCsvRecord(rest_);
    const std::string_view bytes = WithoutLineBreak(Take(record.size));
    if (IsBlank(bytes)) continue;
    BatchItem item = NewItem(line, bytes);
    if (record.problem.empty() && record.fields.size() != columns_)
      record.problem = fmt::format("found {} fields, expected {} as in the header",
                                   record.fields.size(), columns_);
    if (!record.problem.empty()) {
      item.error = Error{Code::kCorrupt, fmt::format("{}: {}", item.where, record.problem)};
      return item;
    }
    item.prompt = std::move(record.fields[prompt_column_]);
    if (id_column_) item.id = std::move(record.fields[*id_column_]);
    return item;
  }
  return std::nullopt;
}

}  // namespace tern
