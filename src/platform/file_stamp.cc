#include "platform/file_stamp.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

namespace tern {
namespace {

constexpr std::chrono::nanoseconds kClockStep = std::chrono::milliseconds(50);

int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

Result<FileStamp> StampOf(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    const Code code = errno == ENOENT ? Code::kNotFound : Code::kInvalidArgument;
    return Fail(code, "{}: {}", path, std::strerror(errno));
  }
  return FileStamp{static_cast<uint64_t>(info.st_size), Nanoseconds(info.st_mtim),
                   Nanoseconds(info.st_ctim), S_ISDIR(info.st_mode)};
}

void WaitUntilStampIsOld(const FileStamp& stamp) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::chrono::nanoseconds age = now - std::chrono::nanoseconds(stamp.changed_ns);
  if (age < kClockStep) std::this_thread::sleep_for(std::min(kClockStep - age, kClockStep));
}

}  // namespace tern
