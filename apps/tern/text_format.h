// What an answer has to be: options shared by run, chat and batch.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "base/result.h"
#include "grammar/grammar.h"

namespace tern::cli {

struct TextFormat {
  std::string grammar_file, schema_file;
  bool json = false;
};

void AddTextFormat(CLI::App& app, TextFormat& format);

struct NamedGrammar {
  std::string source;                      // its text, for digests; "" for none
  std::shared_ptr<const Grammar> grammar;  // null: any text
};

/// Errors name the file.
Result<NamedGrammar> ReadTextFormat(const TextFormat& format);

}  // namespace tern::cli
