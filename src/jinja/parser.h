// Tokens to a tree.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "jinja/ast.h"
#include "jinja/lexer.h"

namespace tern::jinja {

/// Reads expressions; Parser adds the statements. Every error begins with its line: kCorrupt for
/// what is no Jinja, kUnsupported naming the construct that this interpreter lacks,
/// kResourceExhausted for deep nesting.
class ExpressionParser {
 public:
  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

 protected:
  using Parsed = Result<ExpressionPtr>;

  /// An expression, or several with commas between them as a tuple. Without `choice` it ends
  /// before "if".
  Parsed Tuple(bool choice = true);
  Parsed Whole() { return Choice(); }
  Parsed FiltersOf(ExpressionPtr expression);

  const Token& Peek() const { return tokens_[at_]; }
  const Token& PeekNext() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token Next();
  bool IsOperator(std::string_view text) const;
  bool IsWord(std::string_view text) const;
  bool TakeOperator(std::string_view text);
  bool TakeWord(std::string_view text);
  Status Expect(TokenKind kind, std::string_view text);
  Result<std::string> ExpectName(std::string_view what);

  tl::unexpected<Error> Wrong(std::string_view expected) const;
  tl::unexpected<Error> Unsupported(int line, std::string_view construct) const;
  Status Enter();
  void Leave() { --depth_; }

 private:
  using Level = Parsed (ExpressionParser::*)();

  Parsed Choice();
  Parsed Or();
  Parsed And();
  Parsed Not();
  Parsed Comparison();
  Parsed Sum();
  Parsed Joined();
  Parsed Product();
  Parsed Power();
  Parsed Unary() { return UnaryWith(true); }
  Parsed UnaryWith(bool filters);
  Parsed Primary();
  Parsed Name();
  Parsed Parentheses();
  Parsed ListLiteral();
  Parsed DictLiteral();
  Parsed Postfix(ExpressionPtr expression);
  Parsed Attribute(ExpressionPtr object);
  Parsed Subscript(ExpressionPtr object);
  Parsed Filter(ExpressionPtr expression);
  Parsed Test(ExpressionPtr expression);
  Parsed TestArgument();
  Status Arguments(Expression& call);
  Parsed LeftToRight(Level operand, std::initializer_list<std::string_view> operators);
  ExpressionPtr Make(ExpressionKind kind, std::string text = {}) const;

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

/// The statements of a template. Errors as ExpressionParser's, and Lex's.
Result<Body> Parse(std::string_view source);

}  // namespace tern::jinja
