#include <filesystem>
#include <string_view>
#include <system_error>

#include "formats/gguf.h"
#include "formats/gguf_header.h"
#include "formats/hf_source.h"
#include "formats/printable.h"
#include "formats/source_identity.h"
#include "formats/weight_source.h"

namespace tern {
namespace {

// safetensors: a length of 64 bits, then a JSON object that fits in the file.
bool LooksLikeSafetensors(std::string_view bytes) {
  constexpr size_t kLengthBytes = 8;
  if (bytes.size() < kLengthBytes + 2) return false;
  uint64_t length = 0;
  for (size_t i = kLengthBytes; i-- > 0;) length = length << 8 | static_cast<uint8_t>(bytes[i]);
  return bytes[kLengthBytes] == '{' && length <= bytes.size() - kLengthBytes;
}

tl::unexpected<Error> NotAModel(const MappedFile& file) {
  const std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()),
                               file.bytes().size());
  if (bytes.empty()) return Fail(Code::kCorrupt, "{}: the file is empty", file.path());
  if (LooksLikeSafetensors(bytes))
    return Fail(Code::kInvalidArgument,
                "{}: a safetensors file holds weights without the model's configuration; pass the "
                "folder that holds it together with config.json",
                file.path());
  if (bytes.starts_with("version https://git-lfs"))
    return Fail(
        Code::kCorrupt,
        "{}: this is a Git LFS pointer, not the model; fetch the file itself (git lfs pull)",
        file.path());
  return Fail(Code::kUnsupported,
              "{}: not a model tern can open: found first bytes '{}', expected a GGUF file ('{}') "
              "or a Hugging Face folder",
              file.path(), HexBytes(bytes, 8), HexBytes("GGUF", 4));
}

Result<std::unique_ptr<WeightSource>> Open(const std::string& path, const SourceOptions& options) {
  std::error_code ec;
  if (std::filesystem::is_directory(path, ec)) return OpenHfFolder(path, options);
  TERN_ASSIGN_OR_RETURN(auto file, MappedFile::Open(path));
  if (!HasGgufMagic(file->bytes())) return NotAModel(*file);
  return OpenGguf(std::move(file), options);
}

}  // namespace

Result<std::unique_ptr<WeightSource>> OpenWeights(const std::string& path,
                                                  const SourceOptions& options) {
  const auto stamp = StampFiles(path);  // a file that can't be stamped can't be opened either
  TERN_ASSIGN_OR_RETURN(auto source, Open(path, options));
  source->set_stamp(stamp.value_or(""));
  return source;
}

}  // namespace tern
