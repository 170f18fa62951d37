#include "perf/budgets.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "perf/compare.h"

namespace tern {
namespace {

using Json = nlohmann::ordered_json;

struct KindRow {
  std::string_view name;
  BudgetKind kind;
  bool repeatable;
  std::vector<std::string_view> needs;  // fields beside name, kind, accepted, margin
};

const std::vector<KindRow>& Kinds() {
  static const std::vector<KindRow> kRows = {
      {"instructions", BudgetKind::kInstructions, true, {"run"}},
      {"allocations", BudgetKind::kAllocations, true, {"run"}},
      {"size", BudgetKind::kSize, true, {"file"}},
      {"registers", BudgetKind::kRegisters, true, {"file", "function"}},
      {"spills", BudgetKind::kSpills, true, {"file", "function"}},
      {"time", BudgetKind::kTime, false, {"run", "row", "field"}},
      {"memory", BudgetKind::kMemory, false, {"run", "row", "field"}},
      {"energy", BudgetKind::kEnergy, false, {"run", "row", "field"}},
  };
  return kRows;
}

const KindRow& RowOf(BudgetKind kind) {
  return *std::find_if(Kinds().begin(), Kinds().end(),
                       [kind](const KindRow& row) { return row.kind == kind; });
}

bool ReadTexts(const Json& value, std::vector<std::string>& out) {
  if (!value.is_array()) return false;
  for (const Json& text : value) {
    if (!text.is_string()) return false;
    out.push_back(text.get<std::string>());
  }
  return true;
}

// False for a value of another type or a field that no budget has.
bool ReadField(const std::string& key, const Json& value, Budget& budget) {
  const auto text = [&](std::string& out) {
    if (value.is_string()) out = value.get<std::string>();
    return value.is_string();
  };
  const auto number = [&](double& out) {
    if (!value.is_number() || value.get<double>() < 0) return false;
    out = value.get<double>();
    return true;
  };
  if (key == "name") return text(budget.name);
  if (key == "run") return ReadTexts(value, budget.run) && !budget.run.empty();
  if (key == "env") return ReadTexts(value, budget.env);
  if (key == "function") return text(budget.function);
  if (key == "file") return text(budget.file);
  if (key == "row") return text(budget.row);
  if (key == "field") return text(budget.field);
  if (key == "accepted") return number(budget.accepted);
  if (key == "margin") return number(budget.margin);
  if (key == "rounds") {
    if (!value.is_number_unsigned()) return false;
    budget.rounds = static_cast<int>(std::clamp<uint64_t>(value.get<uint64_t>(), 4, 1000));
    return true;
  }
  if (key != "kind" || !value.is_string()) return false;
  const auto row = std::find_if(Kinds().begin(), Kinds().end(), [&](const KindRow& r) {
    return r.name == value.get_ref<const std::string&>();
  });
  if (row != Kinds().end()) budget.kind = row->kind;
  return row != Kinds().end();
}

Result<Budget> ToBudget(const Json& json, const std::string& where) {
  if (!json.is_object())
    return Fail(Code::kCorrupt, "{}: found {}, expected an object", where, json.type_name());
  Budget budget;
  for (const auto& [key, value] : json.items())
    if (!ReadField(key, value, budget))
      return Fail(Code::kCorrupt, "{}: field '{}': found {}, which no budget has", where, key,
                  value.dump().substr(0, 60));
  std::vector<std::string_view> needs = {"name", "kind", "accepted", "margin"};
  const auto& more = RowOf(budget.kind).needs;
  needs.insert(needs.end(), more.begin(), more.end());
  for (const std::string_view key : needs)
    if (!json.contains(std::string(key)))
      return Fail(Code::kCorrupt, "{}: field '{}' is missing", where, key);
  return budget;
}

Result<Json> ParseDocument(std::string_view text, const std::string& file) {
  Json document = Json::parse(text, nullptr, false);
  if (!document.is_object() || !document.contains("budgets") || !document["budgets"].is_array())
    return Fail(Code::kCorrupt, "{}: expected a JSON object with an array \"budgets\"", file);
  return document;
}

// The number before a word: "Used 32 registers".
std::optional<double> NumberBefore(std::string_view text, std::string_view word) {
  const size_t at = text.find(word);
  if (at == std::string_view::npos) return std::nullopt;
  size_t begin = at;
  while (begin > 0 && text[begin - 1] >= '0' && text[begin - 1] <= '9') --begin;
  uint64_t value = 0;
  if (std::from_chars(text.data() + begin, text.data() + at, value).ec != std::errc())
    return std::nullopt;
  return static_cast<double>(value);
}

}  // namespace

std::string_view BudgetKindName(BudgetKind kind) { return RowOf(kind).name; }
bool IsRepeatable(BudgetKind kind) { return RowOf(kind).repeatable; }

Result<std::vector<Budget>> ParseBudgets(std::string_view json, const std::string& file) {
  TERN_ASSIGN_OR_RETURN(const Json document, ParseDocument(json, file));
  std::vector<Budget> budgets;
  for (const Json& row : document["budgets"]) {
    TERN_ASSIGN_OR_RETURN(Budget budget,
                          ToBudget(row, fmt::format("{}: budgets[{}]", file, budgets.size())));
    budgets.push_back(std::move(budget));
  }
  return budgets;
}

Result<std::string> AcceptBudgets(std::string_view json, const std::string& file,
                                  const std::vector<std::optional<double>>& figures) {
  TERN_ASSIGN_OR_RETURN(Json document, ParseDocument(json, file));
  Json& rows = document["budgets"];
  for (size_t i = 0; i < rows.size() && i < figures.size(); ++i)
    if (figures[i]) rows[i]["accepted"] = static_cast<int64_t>(*figures[i]);
  // A row a line: a change of one figure is a change of one line.
  std::string out = "{\n";
  for (const auto& [key, value] : document.items())
    if (key != "budgets") out += fmt::format("  {}: {},\n", Json(key).dump(), value.dump());
  out += "  \"budgets\": [\n";
  for (size_t i = 0; i < rows.size(); ++i)
    out += fmt::format("    {}{}\n", rows[i].dump(), i + 1 < rows.size() ? "," : "");
  return out + "  ]\n}\n";
}

std::string_view BudgetOutcomeName(BudgetOutcome outcome) {
  constexpr std::array<std::string_view, 5> kNames = {
      "within", "OVER", "below: accept the new figure", "can't tell", "absent"};
  return kNames[static_cast<size_t>(outcome)];
}

BudgetOutcome JudgeBudget(const Budget& budget, const std::vector<double>& values) {
  if (values.empty()) return BudgetOutcome::kAbsent;
  if (IsRepeatable(budget.kind)) {
    if (values[0] > budget.limit()) return BudgetOutcome::kOver;
    return values[0] < budget.accepted * (1 - budget.margin) ? BudgetOutcome::kBelow
                                                             : BudgetOutcome::kWithin;
  }
  const RatioInterval share = RatioOfMedians(std::vector{budget.limit()}, values);
  if (share.low > 1) return BudgetOutcome::kOver;
  return share.high <= 1 ? BudgetOutcome::kWithin : BudgetOutcome::kUnknown;
}

std::optional<KernelResources> FindKernelResources(std::string_view ptxas,
                                                   std::string_view function) {
  constexpr std::string_view kHead = "Compiling entry function '";
  for (size_t at = ptxas.find(kHead); at != std::string_view::npos; at = ptxas.find(kHead, at)) {
    at += kHead.size();
    const std::string_view name = ptxas.substr(at, ptxas.find('\'', at) - at);
    if (name.find(function) == std::string_view::npos) continue;
    const std::string_view part = ptxas.substr(at, ptxas.find(kHead, at) - at);
    const auto registers = NumberBefore(part, " registers");
    const auto stores = NumberBefore(part, " bytes spill stores");
    const auto loads = NumberBefore(part, " bytes spill loads");
    if (!registers) return std::nullopt;
    return KernelResources{*registers, stores.value_or(0) + loads.value_or(0)};
  }
  return std::nullopt;
}

}  // namespace tern
