#include "batch/csv.h"

#include <algorithm>

namespace tern {
namespace {

class RecordReader {
 public:
  explicit RecordReader(std::string_view text) : text_(text.substr(0, kMaxRecordBytes)) {}

  CsvRecord Read() {
    while (record_.problem.empty() && !ReadField()) {
    }
    record_.size = at_;
    if (record_.problem.empty()) return std::move(record_);
    return Bad();
  }

 private:
  // Reads a field and what separates it from the next; true when it was the last one.
  bool ReadField() {
    std::string& field = record_.fields.emplace_back();
    if (at_ < text_.size() && text_[at_] == '"') {
      if (!ReadQuoted(field)) return true;
    } else {
      const size_t end = std::min(text_.find_first_of(",\n\"", at_), text_.size());
      field = text_.substr(at_, end - at_);
      at_ = end;
      if (at_ < text_.size() && text_[at_] == '\n' && field.ends_with('\r')) field.pop_back();
    }
    return ReadSeparator();
  }

  bool ReadQuoted(std::string& field) {
    for (++at_;;) {
      const size_t quote = text_.find('"', at_);
      if (quote == text_.npos) {
        record_.problem = "found no end of the quoted field, expected a second quote";
        record_.open = true;
        return false;
      }
      field += text_.substr(at_, quote - at_);
      at_ = quote + 1;
      if (at_ == text_.size() || text_[at_] != '"') return true;
      field += '"';
      ++at_;
    }
  }

  bool ReadSeparator() {
    if (at_ == text_.size()) return true;
    if (text_[at_] == ',') {
      ++at_;
      return false;
    }
    if (text_.substr(at_).starts_with("\r\n")) ++at_;
    if (text_[at_] == '\n') {
      ++at_;
      record_.complete = true;
    } else if (text_[at_] == '"') {
      record_.problem = "found a quote inside a field without quotes, expected the field in quotes";
    } else {
      record_.problem = "found text behind a quoted field, expected a comma or the end of the line";
    }
    return true;
  }

  CsvRecord Bad() {
    const size_t line = text_.find('\n');
    CsvRecord bad;
    bad.complete = line != text_.npos;
    bad.size = bad.complete ? line + 1 : text_.size();
    bad.problem = std::move(record_.problem);
    bad.open = record_.open;
    return bad;
  }

  std::string_view text_;
  size_t at_ = 0;
  CsvRecord record_;
};

}  // namespace

CsvRecord ReadCsvRecord(std::string_view text) { return RecordReader(text).Read(); }

void AppendCsvField(std::string_view value, std::string& out) {
  if (value.find_first_of(",\"\r\n") == value.npos) {
    out += value;
    return;
  }
  out += '"';
  for (const char c : value) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

}  // namespace tern
