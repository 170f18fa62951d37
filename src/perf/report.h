// Measured rows as data, and the forms in which programs read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tern {

using FieldValue = std::variant<std::string, int64_t, double, std::vector<double>>;

/// One measured row. Rows of one report have the same fields in the same order.
struct Record {
  std::string name;  // e.g. "pp512", "gemm_t2_s8_n16k4_avx2 1x2560x2560"
  double rate = 0;   // what targets call "rate": tokens or operations per second, the larger the
                     // better
  std::vector<std::pair<std::string, FieldValue>> fields;

  /// nullptr when there is no such field.
  const FieldValue* Find(std::string_view field) const;
};

/// Forms for programs, with the names of llama-bench.
enum class ReportFormat : uint8_t { kCsv, kJson, kJsonl, kSql };

/// The rows in one of the forms: CSV with a header and every value quoted; an array of objects; an
/// object a line; or statements that create the table (unless it exists) and fill it. Lists are
/// JSON arrays, in CSV and SQL as a text. Numbers that are not finite become null (CSV: empty).
std::string FormatRecords(const std::vector<Record>& records, ReportFormat format,
                          std::string_view table);

}  // namespace tern
