#include "batch/result_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "batch/csv.h"
#include "batch/result_record.h"

namespace tern {
namespace {

// Whether a file that ends inside its first record may be one of ours: nothing else is cut.
bool MayBegin(std::string_view start, std::string_view text) {
  const size_t size = std::min(start.size(), text.size());
  return start.substr(0, size) == text.substr(0, size);
}

}  // namespace

Result<std::unique_ptr<ResultFile>> ResultFile::Open(const std::string& path, uint64_t settings) {
  TERN_ASSIGN_OR_RETURN(const BatchFormat format, BatchFormatOf(path));
  if (format == BatchFormat::kText)
    return Fail(Code::kInvalidArgument, "{}: results can't be plain text, expected .csv or .jsonl",
                path);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0)
    return Fail(errno == ENOENT ? Code::kNotFound : Code::kInvalidArgument,
                "{}: can't be opened: {}", path, std::strerror(errno));
  std::unique_ptr<ResultFile> file(new ResultFile(path, format == BatchFormat::kCsv, settings, fd));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    return Fail(Code::kInvalidArgument, "{}: another process writes to it", path);
  TERN_TRY(file->Recover());
  return file;
}

ResultFile::ResultFile(std::string path, bool csv, uint64_t settings, int fd)
    : path_(std::move(path)), csv_(csv), settings_(settings), fd_(fd) {}

ResultFile::~ResultFile() { ::close(fd_); }

tl::unexpected<Error> ResultFile::Failed(const char* what) const {
  const bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
  return Fail(full ? Code::kResourceExhausted : Code::kInvalidArgument, "{}: {}: {}", path_, what,
              std::strerror(errno));
}

Status ResultFile::Recover() {
  TERN_ASSIGN_OR_RETURN(const auto mapped, MappedFile::Open(path_));
  const std::string_view all(reinterpret_cast<const char*>(mapped->bytes().data()),
                             mapped->bytes().size());
  // A power cut may leave a stretch of zeros, which no record has.
  const std::string_view text = all.substr(0, std::min(all.find('\0'), all.size()));
  TERN_ASSIGN_OR_RETURN(const size_t whole, ReadRecords(text));
  end_ = static_cast<int64_t>(whole);
  cut_bytes_ = all.size() - whole;
  if (cut_bytes_ > 0 && ::ftruncate(fd_, end_) != 0) return Failed("can't be cut");
  if (::lseek(fd_, end_, SEEK_SET) < 0) return Failed("can't be written to");
  if (csv_ && whole == 0) TERN_TRY(Write(kResultHeader));
  return {};
}

Result<size_t> ResultFile::ReadRecords(std::string_view text) {
  const std::string_view start = csv_ ? kResultHeader : kJsonRecordStart;
  if (!MayBegin(start, text))
    return Fail(Code::kInvalidArgument,
                "{}: found another file, expected results of tern batch, or none", path_);
  if (text.size() < start.size()) return 0;
  size_t at = csv_ ? start.size() : 0;
  for (int64_t number = 1; at < text.size(); ++number) {
    const std::string where = fmt::format("{}: record {}", path_, number);
    const std::string_view rest = text.substr(at);
    if (csv_) {
      CsvRecord record = ReadCsvRecord(rest);
      if (!record.complete || (record.open && rest.size() < kMaxRecordBytes)) break;
      if (!record.problem.empty()) return Fail(Code::kCorrupt, "{}: {}", where, record.problem);
      TERN_ASSIGN_OR_RETURN(const RecordKey key, ParseCsvRecord(record.fields, where));
      TERN_TRY(Keep(key, where));
      at += record.size;
    } else {
      const size_t end = rest.find('\n');
      if (end == rest.npos) break;
      TERN_ASSIGN_OR_RETURN(const RecordKey key, ParseJsonRecord(rest.substr(0, end), where));
      TERN_TRY(Keep(key, where));
      at += end + 1;
    }
  }
  return at;
}

Status ResultFile::Keep(const RecordKey& key, const std::string& where) {
  if (!done_.emplace(key.line, key).second)
    return Fail(Code::kCorrupt, "{}: found a second answer to line {}, expected one", where,
                key.line);
  errors_ += key.error ? 1 : 0;
  return {};
}

Result<int64_t> ResultFile::CheckAgainst(PromptFile& prompts,
                                         const std::string& prompts_path) const {
  size_t known = 0;
  int64_t count = 0;
  prompts.Rewind();
  while (const auto item = prompts.Next()) {
    ++count;
    const auto found = done_.find(item->line);
    if (found == done_.end()) continue;
    ++known;
    if (found->second.item != item->key)
      return Fail(Code::kInvalidArgument,
                  "{}: its answer to line {} is not to what line {} of {} says: it belongs to "
                  "another input; name another output, or delete it",
                  path_, item->line, item->line, prompts_path);
    if (found->second.settings != settings_)
      return Fail(Code::kInvalidArgument,
                  "{}: its answers were made with another model or other options; give those, "
                  "name another output, or delete it",
                  path_);
  }
  prompts.Rewind();
  if (known < done_.size())
    return Fail(Code::kInvalidArgument,
                "{}: found answers to {} lines, but {} has only {} of these: it belongs to another "
                "input; name another output, or delete it",
                path_, done_.size(), prompts_path, known);
  return count;
}

Status ResultFile::Append(const BatchItem& item, const BatchResult& result) {
  const RecordKey key{item.line, item.key, settings_, result.error.has_value()};
  TERN_TRY(
      Write(csv_ ? RenderCsvRecord(key, item.id, result) : RenderJsonRecord(key, item.id, result)));
  TERN_TRY(Keep(key, path_));
  return Clock::now() - synced_ < sync_every_ ? Status() : Sync();
}

Status ResultFile::Write(std::string_view bytes) {
  for (std::string_view rest = bytes; !rest.empty();) {
    const ssize_t written = ::write(fd_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const auto failed = Failed("can't be written to");
      if (::ftruncate(fd_, end_) == 0) ::lseek(fd_, end_, SEEK_SET);
      return failed;
    }
    rest.remove_prefix(static_cast<size_t>(written));
  }
  end_ += static_cast<int64_t>(bytes.size());
  return {};
}

Status ResultFile::Sync() {
  if (::fdatasync(fd_) != 0) return Failed("can't be synced to the disk");
  synced_ = Clock::now();
  return {};
}

}  // namespace tern
