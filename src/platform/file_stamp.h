// Whether a file is still the one it was.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace tern {

/// Every change of a file's bytes moves its change time, which, unlike the modification time, no
/// program can set back; so does renaming another file over it.
struct FileStamp {
  uint64_t bytes = 0;
  int64_t modified_ns = 0;
  int64_t changed_ns = 0;
  bool folder = false;
};

/// Follows symbolic links. Errors: kNotFound, kInvalidArgument; the message names the path.
Result<FileStamp> StampOf(const std::string& path);

/// Waits until a change of the file would show in its stamp: file systems count time in steps of
/// some milliseconds, so a file that changed just now could change again unseen.
void WaitUntilStampIsOld(const FileStamp& stamp);

}  // namespace tern
