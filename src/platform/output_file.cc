#include "platform/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

namespace tern {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;
constexpr int kMaxNames = 1000;  // of temporary files that a killed process may have left

Code CodeOf(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return Code::kResourceExhausted;
    case ENOENT:
      return Code::kNotFound;
    default:
      return Code::kInvalidArgument;
  }
}

tl::unexpected<Error> CannotWrite(const std::string& path, int error) {
  return Fail(CodeOf(error), "{}: cannot write: {}", path, std::strerror(error));
}

}  // namespace

Result<std::unique_ptr<OutputFile>> OutputFile::Create(const std::string& path) {
  for (int i = 0; i < kMaxNames; ++i) {
    std::string temporary = fmt::format("{}.part{}-{}", path, ::getpid(), i);
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) return std::unique_ptr<OutputFile>(new OutputFile(path, std::move(temporary), fd));
    if (errno != EEXIST) break;
  }
  return CannotWrite(path, errno);
}

OutputFile::OutputFile(std::string path, std::string temporary, int fd)
    : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {
  buffer_.reserve(kBufferBytes);
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status OutputFile::Write(std::span<const std::byte> bytes) {
  if (bytes.size() > kBufferBytes - buffer_.size()) TERN_TRY(Flush());
  if (bytes.size() > kBufferBytes) return WriteThrough(bytes);
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  return {};
}

Status OutputFile::Flush() {
  const Status status = WriteThrough(buffer_);
  buffer_.clear();
  return status;
}

Status OutputFile::WriteThrough(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return CannotWrite(path_, errno);
    }
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return {};
}

Status OutputFile::Commit() {
  TERN_TRY(Flush());
  if (::fsync(fd_) != 0) return CannotWrite(path_, errno);
  if (::close(std::exchange(fd_, -1)) != 0) return CannotWrite(path_, errno);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) return CannotWrite(path_, errno);
  temporary_.clear();
  // The rename itself survives a power cut once the folder is synced; where that can't be done the
  // file is still whole under one of its names.
  const std::filesystem::path parent = std::filesystem::path(path_).parent_path();
  const int folder = ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_CLOEXEC);
  if (folder >= 0) {
    ::fsync(folder);
    ::close(folder);
  }
  return {};
}

}  // namespace tern
