// How one result is spelled in a file.
#pragma once

#include <string>
#include <string_view>

#include "batch/result_file.h"

namespace tern {

/// The first line of a table of results, its line break included.
inline constexpr std::string_view kResultHeader =
    "line,id,key,finish,prompt_tokens,generated_tokens,text,error\n";
/// What every record of a .jsonl file begins with.
inline constexpr std::string_view kJsonRecordStart = "{\"line\":";

/// A record, its line break included. Bytes that are not UTF-8 become U+FFFD; there is no 0 byte.
std::string RenderJsonRecord(const RecordKey& key, const std::string& id,
                             const BatchResult& result);
std::string RenderCsvRecord(const RecordKey& key, const std::string& id, const BatchResult& result);

/// Errors: kCorrupt, with `where` in front, for what the two above don't write.
Result<RecordKey> ParseJsonRecord(std::string_view line, const std::string& where);
Result<RecordKey> ParseCsvRecord(const std::vector<std::string>& fields, const std::string& where);

}  // namespace tern
