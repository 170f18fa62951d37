#include "platform/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "platform/pages.h"

namespace tern {

Result<std::shared_ptr<const MappedFile>> MappedFile::Open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const Code code = errno == ENOENT ? Code::kNotFound : Code::kInvalidArgument;
    return Fail(code, "{}: {}", path, std::strerror(errno));
  }
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return Fail(Code::kInvalidArgument, "{}: not a regular file", path);
  }
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = path;
  file->size_ = static_cast<size_t>(info.st_size);
  const Status opened = file->size_ < kMapFrom ? file->Read(fd) : file->Map(fd);
  ::close(fd);
  if (!opened) return tl::unexpected(opened.error());
  return file;
}

Status MappedFile::Map(int fd) {
  void* data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED)
    return Fail(Code::kResourceExhausted, "{}: cannot map {} bytes: {}", path_, size_,
                std::strerror(errno));
  data_ = static_cast<const std::byte*>(data);
  mapped_ = true;
  return {};
}

Status MappedFile::Read(int fd) {
  copy_ = AllocatePages(size_);
  if (!copy_) return Fail(Code::kResourceExhausted, "{}: cannot allocate {} bytes", path_, size_);
  data_ = copy_.get();
  size_t done = 0;
  while (done < size_) {
    const ssize_t got = ::read(fd, copy_.get() + done, size_ - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Fail(Code::kInvalidArgument, "{}: {}", path_, std::strerror(errno));
    if (got == 0) break;  // the file has become shorter
    done += static_cast<size_t>(got);
  }
  size_ = done;
  return {};
}

std::shared_ptr<const MappedFile> MappedFile::FromBytes(std::string path,
                                                        std::span<const std::byte> bytes) {
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = std::move(path);
  file->size_ = bytes.size();
  // No larger than it has to be: so the sanitizers see a read beyond the end.
  file->copy_ = {new std::byte[bytes.size() + 1], std::default_delete<std::byte[]>()};
  if (!bytes.empty()) std::memcpy(file->copy_.get(), bytes.data(), bytes.size());
  file->data_ = file->copy_.get();
  return file;
}

MappedFile::~MappedFile() {
  if (mapped_) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace tern
