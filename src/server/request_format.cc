// What the text is held to: response_format, text.format, json_schema, grammar.
#include <fmt/format.h>

#include "server/api_request.h"

namespace tern {
namespace {

ApiStatus TakeSchema(const Json* schema, const std::string& field, TextFormat& out) {
  if (schema == nullptr) return Refuse(field, "missing, expected a JSON schema");
  if (!schema->is_object() && !schema->is_boolean())
    return WrongType(field, *schema, "a JSON schema");
  out = {TextFormat::Kind::kJsonSchema, Dump(*schema), field};
  return {};
}

}  // namespace

ApiStatus ReadFormat(const Json& format, const std::string& field, bool nested, TextFormat& out) {
  if (!format.is_object()) return WrongType(field, format, "an object");
  std::string type;
  TERN_TRY_API(ReadString({format, "type", field + ".type"}, type));
  if (type == "text") return {};
  if (type == "json_object") {
    // llama-server's way to give a schema here.
    if (const Json* schema = Member(format, "schema"))
      return TakeSchema(schema, field + ".schema", out);
    out = {TextFormat::Kind::kJsonObject, {}, field};
    return {};
  }
  if (type != "json_schema")
    return Refuse(field + ".type", R"(expected "text", "json_object" or "json_schema")");
  if (!nested) return TakeSchema(Member(format, "schema"), field + ".schema", out);
  const Json* holder = Member(format, "json_schema");
  const std::string name = field + ".json_schema";
  if (holder == nullptr || !holder->is_object())
    return Refuse(name, "missing or no object, expected an object with a schema");
  return TakeSchema(Member(*holder, "schema"), name + ".schema", out);
}

ApiStatus ReadTextFormat(const Json& body, ApiRequest& request) {
  TextFormat& held_to = request.format;
  if (const Json* format = Member(body, "response_format"))
    TERN_TRY_API(ReadFormat(*format, "response_format", true, held_to));
  if (const Json* schema = Member(body, "json_schema"))
    TERN_TRY_API(TakeSchema(schema, "json_schema", held_to));
  std::string grammar;
  TERN_TRY_API(ReadString({body, "grammar"}, grammar));
  if (grammar.empty()) return {};
  if (held_to.kind != TextFormat::Kind::kNone)
    return Refuse("grammar", fmt::format("there is {} too, expected one of them", held_to.field));
  held_to = {TextFormat::Kind::kGbnf, std::move(grammar), "grammar"};
  return {};
}

}  // namespace tern
