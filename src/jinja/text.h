// Text that knows where each of its bytes came from: from a template, or from the data that was
// rendered with it. A chat template's own "<|im_end|>" is a token, a user's is five characters and
// a name; after rendering only this record tells them apart.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tern::jinja {

enum class Origin : char { kTemplate, kData };

/// Bytes with an origin each. Equality looks at the bytes alone. Thread rule: a plain value.
class Text {
 public:
  Text() = default;
  Text(std::string_view bytes, Origin origin);

  const std::string& bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  Origin origin(size_t i) const { return static_cast<Origin>(origins_[i]); }
  /// The end of the stretch of one origin that begins at `begin`.
  size_t StretchEnd(size_t begin) const;

  void Append(const Text& other);
  void Append(std::string_view bytes, Origin origin);
  /// Bytes [begin, end).
  Text Cut(size_t begin, size_t end) const;
  /// Replaces the byte, whose origin stays.
  void SetByte(size_t i, char byte) { bytes_[i] = byte; }

  bool operator==(const Text& other) const { return bytes_ == other.bytes_; }

 private:
  std::string bytes_;
  std::string origins_;
};

/// Where characters begin, in bytes, and the size at the end: n + 1 numbers for n characters.
std::vector<size_t> CharacterBounds(std::string_view text);

/// What Python's str.isspace says about the UTF-8 character at the beginning or the end of the
/// text: its length in bytes, 0 when it is no blank or there is none.
size_t BlankAtBegin(std::string_view text);
size_t BlankAtEnd(std::string_view text);

/// Without characters of `set` at the chosen ends; without blanks when set is nullptr.
Text Strip(const Text& text, bool left, bool right, const std::string* set = nullptr);

/// Python's str.split: at `separator` (not empty), at most `limit` times (negative: no limit).
std::vector<Text> Split(const Text& text, std::string_view separator, int64_t limit);
/// The same from the right.
std::vector<Text> SplitRight(const Text& text, std::string_view separator, int64_t limit);
/// Python's str.split without a separator: between blanks, no empty parts.
std::vector<Text> SplitBlanks(const Text& text, int64_t limit);
/// Python's str.splitlines.
std::vector<Text> SplitLines(const Text& text);

/// Every `from` by `to`, at most `limit` times (negative: no limit). An empty `from` stands before
/// each character and at the end, as in Python.
Text Replace(const Text& text, std::string_view from, const Text& to, int64_t limit);

/// Letters of ASCII alone change.
Text Upper(Text text);
Text Lower(Text text);
Text Title(Text text);       // Python's str.title: letters behind what is no letter are upper
Text TitleWords(Text text);  // Jinja's filter title: letters behind blanks, '-' and brackets are
Text Capitalize(Text text);  // the first letter upper, the rest lower

}  // namespace tern::jinja
