// Comma-separated values as RFC 4180 has them, in UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tern {

/// A longer record is a problem: no prompt is that long, and a lost quote must not swallow a file.
inline constexpr size_t kMaxRecordBytes = size_t{16} << 20;

struct CsvRecord {
  std::vector<std::string> fields;
  size_t size = 0;        // bytes, its line break included
  bool complete = false;  // ended by a line break, not by the end of the text
  std::string problem;    // why it is none; then it is one line of the text long
  bool open = false;      // the problem: the text ends inside quotes
};

/// The record that a text begins with; the text must not be empty. Line breaks are LF or CR LF.
CsvRecord ReadCsvRecord(std::string_view text);

/// Appends a field as a record has it: in quotes where it needs them.
void AppendCsvField(std::string_view value, std::string& out);

}  // namespace tern
