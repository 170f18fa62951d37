#include "batch/result_record.h"

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "batch/csv.h"
#include "formats/hf_json.h"
#include "tokenizer/utf8.h"

namespace tern {
namespace {

using OutJson = nlohmann::ordered_json;

constexpr size_t kColumns = 8, kKeyDigits = 16;
enum Column : size_t { kLine, kId, kKey, kFinish, kPromptTokens, kGeneratedTokens, kText, kError };

std::string SpellKey(const RecordKey& key) {
  return fmt::format("{:016x}-{:016x}", key.item, key.settings);
}

template <class T>
bool ParseNumber(std::string_view text, int base, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size();
}

Status ParseKey(std::string_view text, const std::string& where, RecordKey& key) {
  if (text.size() == 2 * kKeyDigits + 1 && text[kKeyDigits] == '-' &&
      ParseNumber(text.substr(0, kKeyDigits), 16, key.item) &&
      ParseNumber(text.substr(kKeyDigits + 1), 16, key.settings))
    return {};
  return Fail(Code::kCorrupt,
              "{}: key: found no key of tern batch, expected two numbers of {} "
              "hexadecimal digits",
              where, kKeyDigits);
}

std::string Utf8Of(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const Utf8Step step = NextUtf8(text);
    if (step.kind == Utf8Kind::kCharacter && text[0] != '\0')
      result += text.substr(0, step.length);
    else
      AppendUtf8(U'\uFFFD', result);
    text.remove_prefix(step.length);
  }
  return result;
}

}  // namespace

std::string RenderJsonRecord(const RecordKey& key, const std::string& id,
                             const BatchResult& result) {
  OutJson record;
  record["line"] = key.line;
  if (!id.empty()) record["id"] = id;
  record["key"] = SpellKey(key);
  if (result.error) {
    record["error"] = {{"code", CodeName(result.error->code)}, {"message", result.error->message}};
  } else {
    record["text"] = result.text;
    record["finish"] = result.finish;
    record["prompt_tokens"] = result.prompt_tokens;
    record["generated_tokens"] = result.generated_tokens;
  }
  return record.dump(-1, ' ', false, OutJson::error_handler_t::replace) + '\n';
}

std::string RenderCsvRecord(const RecordKey& key, const std::string& id,
                            const BatchResult& result) {
  std::array<std::string, kColumns> fields;
  fields[kLine] = std::to_string(key.line);
  fields[kId] = Utf8Of(id);
  fields[kKey] = SpellKey(key);
  if (result.error) {
    fields[kError] = Utf8Of(result.error->message);
  } else {
    fields[kFinish] = result.finish;
    fields[kPromptTokens] = std::to_string(result.prompt_tokens);
    fields[kGeneratedTokens] = std::to_string(result.generated_tokens);
    fields[kText] = Utf8Of(result.text);
  }
  std::string record;
  for (const std::string& field : fields) {
    if (!record.empty()) record += ',';
    AppendCsvField(field, record);
  }
  return record + '\n';
}

Result<RecordKey> ParseJsonRecord(std::string_view line, const std::string& where) {
  TERN_ASSIGN_OR_RETURN(const nlohmann::json json, ParseJson(line, where));
  TERN_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(json, where, ""));
  RecordKey key;
  TERN_ASSIGN_OR_RETURN(key.line, fields.Int("line", 1, INT64_MAX));
  TERN_ASSIGN_OR_RETURN(const std::string spelled, fields.String("key"));
  TERN_TRY(ParseKey(spelled, where, key));
  key.error = fields.Has("error");
  return key;
}

Result<RecordKey> ParseCsvRecord(const std::vector<std::string>& fields, const std::string& where) {
  if (fields.size() != kColumns)
    return Fail(Code::kCorrupt, "{}: found {} fields, expected {}", where, fields.size(), kColumns);
  RecordKey key;
  if (!ParseNumber(fields[kLine], 10, key.line) || key.line < 1)
    return Fail(Code::kCorrupt, "{}: line: found no number, expected one from 1", where);
  TERN_TRY(ParseKey(fields[kKey], where, key));
  key.error = !fields[kError].empty();
  return key;
}

}  // namespace tern
