// tern tokenize and tern detokenize: what a model's tokenizer makes of a text, and back.
#include <memory>

#include "command.h"
#include "human.h"
#include "json_lines.h"
#include "model_options.h"
#include "text_input.h"
#include "token_ids.h"

namespace tern::cli {
namespace {

Result<std::unique_ptr<Tokenizer>> OpenTokenizer(const ModelOptions& options) {
  TERN_ASSIGN_OR_RETURN(const std::string path, ModelPath(options));
  TERN_ASSIGN_OR_RETURN(TokenizerSpec spec, LoadTokenizerSpec(path, ToTokenizerOptions(options)));
  if (!spec.note.empty()) PrintNote(spec.note);
  auto tokenizer = Tokenizer::Create(std::move(spec));
  if (!tokenizer) return Within(path, tokenizer.error());
  return tokenizer;
}

// The field, null when there is none.
const nlohmann::json& Field(const nlohmann::json& object, const char* key) {
  static const nlohmann::json null;
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

// --- tokenize ---------------------------------------------------------------------------------

struct TokenizeOptions {
  ModelOptions model;
  TextInput text;
  std::string jsonl;
  EncodeOptions encode;
  bool pieces = false;
};

void PrintPlain(const Tokenizer& tokenizer, const std::vector<TokenId>& ids, bool pieces) {
  if (!pieces) {
    fmt::print("{}\n", fmt::join(ids, " "));
    return;
  }
  for (const TokenId id : ids)
    fmt::print("{:>7}  \"{}\"\n", id, OneLine(tokenizer.Piece(id, true)));
}

Status TokenizeLines(const Tokenizer& tokenizer, const TokenizeOptions& options) {
  return ForEachJsonLine(
      options.jsonl, [&](const nlohmann::json& object, const std::string& where) -> Status {
        const nlohmann::json& text = Field(object, "text");
        if (!text.is_string())
          return Fail(Code::kInvalidArgument, "{}: field 'text': found {}, expected a string",
                      where, text.type_name());
        PrintJsonLine(
            {{"ids", tokenizer.Encode(text.get_ref<const std::string&>(), options.encode)}});
        return {};
      });
}

Result<int> Tokenize(const TokenizeOptions& options) {
  const bool lines = !options.jsonl.empty();
  TERN_ASSIGN_OR_RETURN(const auto text, ReadTextInput(options.text));
  if (!text && !lines) return UsageError("no text: give one with -p, -f, --jsonl or -");
  if (text && lines) return UsageError("--jsonl goes with neither -p, -f nor -");
  TERN_ASSIGN_OR_RETURN(const auto tokenizer, OpenTokenizer(options.model));
  if (lines) {
    TERN_TRY(TokenizeLines(*tokenizer, options));
  } else {
    PrintPlain(*tokenizer, tokenizer->Encode(text->text, options.encode), options.pieces);
  }
  return kExitOk;
}

Action DefineTokenize(CLI::App& app) {
  auto options = std::make_shared<TokenizeOptions>();
  AddTextInput(app, options->text, "text");
  app.add_option("--jsonl", options->jsonl,
                 "Each line {\"text\": ...} of the file gives a line {\"ids\": [...]}; -: standard "
                 "input")
      ->option_text("FILE");
  app.add_flag("--special", options->encode.parse_special,
               "Special tokens written in the text become their ids; else they are plain text");
  app.add_flag("--bos", options->encode.add_bos, "Begin with the beginning-of-text token");
  app.add_flag("--pieces", options->pieces, "One token a line: its id and what it stands for");
  AddModelOptions(app, options->model, kModelName | kModelTokenizer);
  return [options] { return Tokenize(*options); };
}

// --- detokenize -------------------------------------------------------------------------------

struct DetokenizeOptions {
  ModelOptions model;
  std::vector<std::string> arguments;
  std::string ids;
  std::string jsonl;
  bool special = false;
};

Status DetokenizeLines(const Tokenizer& tokenizer, const DetokenizeOptions& options) {
  return ForEachJsonLine(
      options.jsonl, [&](const nlohmann::json& object, const std::string& where) -> Status {
        TERN_ASSIGN_OR_RETURN(const std::vector<TokenId> ids,
                              IdsOfJson(Field(object, "ids"), where + ": field 'ids'"));
        TERN_TRY(CheckIds(where, ids, static_cast<int64_t>(tokenizer.size())));
        PrintJsonLine({{"text", tokenizer.Decode(ids, options.special)}});
        return {};
      });
}

// The ids of the command line, of standard input when that is "-".
Result<std::vector<TokenId>> PlainIds(const DetokenizeOptions& options) {
  std::string text = options.ids;
  for (const std::string& argument : options.arguments) text += " " + argument;
  if (options.arguments == std::vector<std::string>{"-"}) {
    TERN_ASSIGN_OR_RETURN(text, ReadFileOrStdin("-"));
  }
  return ParseIds(text);
}

Result<int> Detokenize(const DetokenizeOptions& options) {
  const int given = !options.arguments.empty() + !options.ids.empty() + !options.jsonl.empty();
  if (given == 0) return UsageError("no ids: give them as arguments, with --ids or --jsonl");
  if (given > 1) return UsageError("give ids as arguments, with --ids or with --jsonl, not both");
  if (!options.jsonl.empty()) {
    TERN_ASSIGN_OR_RETURN(const auto tokenizer, OpenTokenizer(options.model));
    TERN_TRY(DetokenizeLines(*tokenizer, options));
    return kExitOk;
  }
  const auto ids = PlainIds(options);
  if (!ids) return UsageError("{}", ids.error().message);
  TERN_ASSIGN_OR_RETURN(const auto tokenizer, OpenTokenizer(options.model));
  TERN_TRY(CheckIds("ids", *ids, static_cast<int64_t>(tokenizer->size())));
  fmt::print("{}\n", tokenizer->Decode(*ids, options.special));
  return kExitOk;
}

Action DefineDetokenize(CLI::App& app) {
  auto options = std::make_shared<DetokenizeOptions>();
  app.add_option("ID", options->arguments, "Token ids; -: read them from standard input");
  app.add_option("--ids", options->ids, "The ids as one list, e.g. 791,6864")->option_text("LIST");
  app.add_option("--jsonl", options->jsonl,
                 "Each line {\"ids\": [...]} of the file gives a line {\"text\": ...}; -: standard "
                 "input")
      ->option_text("FILE");
  app.add_flag("--special", options->special, "Write special tokens out; else they are left out");
  AddModelOptions(app, options->model, kModelName | kModelTokenizer);
  return [options] { return Detokenize(*options); };
}

}  // namespace

const Command kTokenizeCommand = {
    "tokenize", "Text to token ids",
    "  tern tokenize -p \"Once upon a time\"\n"
    "  tern tokenize -m tokenizer.json --jsonl texts.jsonl > ids.jsonl",
    DefineTokenize};

const Command kDetokenizeCommand = {"detokenize", "Token ids to text",
                                    "  tern detokenize 1 2 3\n"
                                    "  tern tokenize -p \"Hello\" | tern detokenize -",
                                    DefineDetokenize};

}  // namespace tern::cli
