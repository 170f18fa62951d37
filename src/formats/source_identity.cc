#include "formats/source_identity.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "formats/digest.h"
#include "platform/file_stamp.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

std::string Canonical(const std::string& path) {
  std::error_code ec;
  const fs::path full = fs::canonical(path, ec);
  return ec ? path : full.string();
}

Result<std::vector<std::string>> FilesOf(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code ec;
  for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
    const std::string extension = it->path().extension().string();
    if (extension == ".json" || extension == ".safetensors") files.push_back(it->path().string());
  }
  if (ec) return Fail(Code::kNotFound, "{}: {}", folder, ec.message());
  std::sort(files.begin(), files.end());
  return files;
}

struct StampedFile {
  std::string path;
  FileStamp stamp;
};

Result<std::vector<StampedFile>> Stamps(const std::string& path) {
  TERN_ASSIGN_OR_RETURN(const FileStamp top, StampOf(path));
  if (!top.folder) return std::vector<StampedFile>{{path, top}};
  TERN_ASSIGN_OR_RETURN(const std::vector<std::string> files, FilesOf(path));
  std::vector<StampedFile> stamped;
  for (const std::string& file : files) {
    TERN_ASSIGN_OR_RETURN(const FileStamp stamp, StampOf(file));
    stamped.push_back({file, stamp});
  }
  return stamped;
}

}  // namespace

Result<std::string> StampFiles(const std::string& path) {
  TERN_ASSIGN_OR_RETURN(const auto files, Stamps(path));
  std::string text;
  for (const auto& [file, stamp] : files)
    text += fmt::format("{} {} {} {}\n", Canonical(file), stamp.bytes, stamp.modified_ns,
                        stamp.changed_ns);
  return text;
}

bool FilesAreUnchanged(const WeightSource& source) {
  if (const auto files = Stamps(source.path()))
    for (const auto& [file, stamp] : *files) WaitUntilStampIsOld(stamp);
  const auto now = StampFiles(source.path());
  return now && *now == source.stamp();
}

std::string SourceIdentity(const WeightSource& source, const SourceOptions& options) {
  const auto now = StampFiles(source.path());
  if (source.stamp().empty() || !now || *now != source.stamp()) return "";
  std::string tensors;
  for (const TensorInfo& info : source.tensors())
    tensors += fmt::format("{} {} {} {} {} {}\n", info.name, fmt::join(info.shape, "x"), info.type,
                           info.bytes, info.offset, fs::path(info.file).filename().string());
  return fmt::format("{}{}\nlayout {}\ntensors {:016x}\n", source.stamp(), source.format(),
                     static_cast<int>(options.i2s_layout), Digest(tensors));
}

}  // namespace tern
