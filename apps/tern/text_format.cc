#include "text_format.h"

#include "text_input.h"

namespace tern::cli {

void AddTextFormat(CLI::App& app, TextFormat& format) {
  constexpr const char* kGroup = "Form of the answer";
  auto* grammar =
      app.add_option("--grammar", format.grammar_file, "The answer is of this GBNF grammar");
  auto* schema = app.add_option("-j,--json-schema", format.schema_file,
                                "The answer is a JSON document of this schema");
  auto* json = app.add_flag("--json", format.json, "The answer is a JSON object");
  grammar->option_text("FILE")->excludes(schema)->excludes(json)->group(kGroup);
  schema->option_text("FILE")->excludes(json)->group(kGroup);
  json->group(kGroup);
}

Result<NamedGrammar> ReadTextFormat(const TextFormat& format) {
  if (format.json) return NamedGrammar{"json", Grammar::AnyJsonObject()};
  const bool gbnf = !format.grammar_file.empty();
  const std::string& file = gbnf ? format.grammar_file : format.schema_file;
  if (file.empty()) return NamedGrammar{};
  TERN_ASSIGN_OR_RETURN(std::string source, ReadFileOrStdin(file));
  auto grammar = gbnf ? Grammar::FromGbnf(source) : Grammar::FromJsonSchema(source);
  if (!grammar) return Within(file, grammar.error());
  return NamedGrammar{std::move(source), *std::move(grammar)};
}

}  // namespace tern::cli
