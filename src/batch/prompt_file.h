// Prompts to be answered in one go: a text file with one a line, a CSV table, or JSON lines.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/generator.h"
#include "grammar/grammar.h"
#include "platform/mapped_file.h"
#include "tokenizer/chat_format.h"

namespace tern {

enum class BatchFormat : uint8_t { kText, kCsv, kJsonLines };

/// By the end of the name: .txt, .csv or .jsonl. Errors: kInvalidArgument naming the path.
Result<BatchFormat> BatchFormatOf(const std::string& path);

struct BatchItem {
  int64_t index = 0;  // 0, 1, ...
  int64_t line = 0;   // where it begins, from 1
  std::string where;  // "prompts.csv: line 3", for messages
  std::string id;     // the user's own; may be empty
  uint64_t key = 0;   // digest of its bytes in the file
  std::string prompt;
  std::vector<ChatMessage> messages;  // instead of prompt, unless empty
  GenerationOptions options;
  std::optional<Error> error;  // what is wrong with it; names file and line
};

/// The grammar that was compiled last: most lines of a file have the same.
struct LastGrammar {
  std::string text;
  std::shared_ptr<const Grammar> grammar;
};

/// .txt: each line that is not blank is a prompt. .csv: a header names the columns; `prompt` has to
/// be there, `id` may be, others are passed over. .jsonl: objects with `prompt` (a string) or
/// `messages` (role and content each), and perhaps `id` and fields of GenerationOptions by the
/// names that HTTP clients use (max_tokens, temperature, seed, stop, grammar, json_schema, ...).
/// UTF-8, with or without a mark in front. Thread rule: one thread.
class PromptFile {
 public:
  /// defaults: what an item doesn't say itself; item i draws with defaults.sampling.seed + i.
  /// Errors: the file can't be read, its name says no format, a table without header.
  static Result<PromptFile> Open(const std::string& path, GenerationOptions defaults);

  /// The next item; nothing at the end. A line with a mistake is an item with an error.
  std::optional<BatchItem> Next();
  /// Begins again with the first item.
  void Rewind();

 private:
  PromptFile(std::shared_ptr<const MappedFile> file, BatchFormat format,
             GenerationOptions defaults);
  Status ReadHeader();
  /// Cuts what is at the beginning off the rest, and counts its lines.
  std::string_view Take(size_t size);
  std::string_view TakeLine();
  std::optional<BatchItem> NextLine();
  std::optional<BatchItem> NextRow();
  BatchItem NewItem(int64_t line, std::string_view bytes);

  std::shared_ptr<const MappedFile> file_;
  BatchFormat format_;
  GenerationOptions defaults_;
  size_t columns_ = 0, prompt_column_ = 0;
  std::optional<size_t> id_column_;

  LastGrammar last_;
  std::string_view rest_;
  int64_t line_ = 1;  // that rest_ begins with
  int64_t index_ = 0;
};

}  // namespace tern
