#include "perf/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace tern {
namespace {

using Json = nlohmann::ordered_json;

Json ToJson(const FieldValue& value) {
  return std::visit([](const auto& v) { return Json(v); }, value);
}

Json ToJson(const Record& record) {
  Json object = Json::object();
  for (const auto& [name, value] : record.fields) object[name] = ToJson(value);
  return object;
}

std::string Dump(const Json& value, int indent = -1) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string Quoted(std::string_view text, char quote) {
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote) out += quote;
    out += c;
  }
  return out + quote;
}

// A value as the text inside a CSV cell or an SQL literal.
std::string Text(const FieldValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  const Json json = ToJson(value);
  return json.is_number_float() && !std::isfinite(json.get<double>()) ? "" : Dump(json);
}

std::string SqlLiteral(const FieldValue& value) {
  const std::string text = Text(value);
  const bool number =
      std::holds_alternative<int64_t>(value) || std::holds_alternative<double>(value);
  if (number) return text.empty() ? "NULL" : text;
  return Quoted(text, '\'');
}

std::string_view SqlType(const FieldValue& value) {
  if (std::holds_alternative<int64_t>(value)) return "INTEGER";
  return std::holds_alternative<double>(value) ? "REAL" : "TEXT";
}

template <class Part>
std::string Joined(const Record& record, Part part) {
  std::string out;
  for (const auto& field : record.fields) out += (out.empty() ? "" : ",") + part(field);
  return out;
}

std::string Csv(const std::vector<Record>& records) {
  std::string out = Joined(records[0], [](const auto& field) { return field.first; }) + "\n";
  for (const Record& record : records)
    out += Joined(record, [](const auto& field) { return Quoted(Text(field.second), '"'); }) + "\n";
  return out;
}

std::string Sql(const std::vector<Record>& records, std::string_view table) {
  std::string out = fmt::format("CREATE TABLE IF NOT EXISTS {} ({});\n", table,
                                Joined(records[0], [](const auto& field) {
                                  return fmt::format("{} {}", field.first, SqlType(field.second));
                                }));
  for (const Record& record : records)
    out += fmt::format("INSERT INTO {} ({}) VALUES ({});\n", table,
                       Joined(record, [](const auto& field) { return field.first; }),
                       Joined(record, [](const auto& field) { return SqlLiteral(field.second); }));
  return out;
}

}  // namespace

const FieldValue* Record::Find(std::string_view field) const {
  const auto found = std::find_if(fields.begin(), fields.end(),
                                  [field](const auto& entry) { return entry.first == field; });
  return found == fields.end() ? nullptr : &found->second;
}

std::string FormatRecords(const std::vector<Record>& records, ReportFormat format,
                          std::string_view table) {
  std::string out;
  switch (format) {
    case ReportFormat::kCsv:
      return records.empty() ? "" : Csv(records);
    case ReportFormat::kSql:
      return records.empty() ? "" : Sql(records, table);
    case ReportFormat::kJsonl:
      for (const Record& record : records) out += Dump(ToJson(record)) + "\n";
      return out;
    case ReportFormat::kJson:
      break;
  }
  Json array = Json::array();
  for (const Record& record : records) array.push_back(ToJson(record));
  return Dump(array, 2) + "\n";
}

}  // namespace tern
