#include "output_folder.h"

#include <filesystem>
#include <span>

#include "platform/output_file.h"

namespace tern::cli {

Result<OutputFolder> OutputFolder::Open(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error)
    return Fail(Code::kInvalidArgument, "{}: the folder can't be made: {}", path, error.message());
  if (!std::filesystem::is_directory(path, error))
    return Fail(Code::kInvalidArgument, "{}: found a file, expected a folder", path);
  return OutputFolder(path);
}

std::string OutputFolder::PathOf(const std::string& name) const {
  return (std::filesystem::path(path_) / name).string();
}

Status OutputFolder::Write(const std::string& name, std::string_view text) const {
  TERN_ASSIGN_OR_RETURN(const auto file, OutputFile::Create(PathOf(name)));
  TERN_TRY(file->Write(std::as_bytes(std::span(text))));
  return file->Commit();
}

}  // namespace tern::cli
