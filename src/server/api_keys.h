// Who may ask.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tern {

/// A set of API keys. Thread rule: one thread at a time.
class ApiKeys {
 public:
  /// `given` count beside those of the file, if one is named: a key a line, blank lines and lines
  /// that begin with # left out. Errors: kNotFound and kInvalidArgument naming the file and line;
  /// a file without a key is one, as it would let everybody in.
  static Result<ApiKeys> Load(std::vector<std::string> given, std::string file);

  /// Reads the file again; on an error the keys stay as they were.
  Status Reload();

  /// Everybody may, when there are no keys.
  bool required() const { return !keys_.empty(); }
  size_t size() const { return keys_.size(); }

  /// `authorization`: a header field's value, "Bearer KEY"; `x_api_key`: another's, the key itself.
  /// The time that it takes tells nothing about how much of a key was right.
  bool Admits(std::string_view authorization, std::string_view x_api_key) const;

 private:
  std::vector<std::string> given_;
  std::string file_;
  std::vector<std::string> keys_;
};

}  // namespace tern
