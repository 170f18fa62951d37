#include "jinja/parser.h"

#include <algorithm>
#include <utility>

namespace tern::jinja {
namespace {

class Parser : public ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Result<Body> Run() {
    TERN_ASSIGN_OR_RETURN(Body body, ReadBody({}));
    if (Peek().kind != TokenKind::kEnd) return Wrong("the end of the template");
    return body;
  }

 private:
  using Words = std::vector<std::string_view>;

  /// Statements up to a block tag with one of these words, which becomes the current token. With
  /// no words: up to the end of the template.
  Result<Body> ReadBody(const Words& ends) {
    TERN_TRY(Enter());
    Body body;
    while (Peek().kind != TokenKind::kEnd) {
      if (Peek().kind == TokenKind::kBlockBegin) {
        const Token& word = PeekNext();
        const bool is_end = word.kind == TokenKind::kName &&
                            std::find(ends.begin(), ends.end(), word.text) != ends.end();
        Next();
        if (is_end) {
          Leave();
          return body;
        }
        TERN_TRY(Block(body));
      } else {
        TERN_TRY(DataOrOutput(body));
      }
    }
    if (!ends.empty()) return Wrong(fmt::format("'{}'", ends.back()));
    Leave();
    return body;
  }

  /// The same, and the end tag with the last of the words is read too.
  Result<Body> ReadBodyToEnd(std::string_view end) {
    TERN_ASSIGN_OR_RETURN(Body body, ReadBody({end}));
    TERN_TRY(CloseTag());
    return body;
  }

  /// Behind the word of an end tag: "endfor %}", and for macros "endmacro name %}".
  Status CloseTag() {
    Next();
    return EndOfTag();
  }
  Status EndOfTag() { return Expect(TokenKind::kBlockEnd, "%}"); }

  Status DataOrOutput(Body& body) {
    Statement statement;
    const Token token = Next();
    statement.line = token.line;
    if (token.kind == TokenKind::kData) {
      statement.text = token.text;
    } else {
      statement.kind = StatementKind::kOutput;
      TERN_ASSIGN_OR_RETURN(statement.expression, Tuple());
      TERN_TRY(Expect(TokenKind::kVariableEnd, "}}"));
    }
    body.push_back(std::move(statement));
    return {};
  }

  Status Block(Body& body) {
    const int line = Peek().line;
    TERN_ASSIGN_OR_RETURN(const std::string word, ExpectName("a statement"));
    Statement statement;
    statement.line = line;
    if (word == "if") {
      TERN_TRY(If(statement));
    } else if (word == "for") {
      TERN_TRY(For(statement));
    } else if (word == "set") {
      TERN_TRY(Set(statement));
    } else if (word == "macro") {
      TERN_TRY(Macro(statement));
    } else if (word == "generation") {
      // Training marks the assistant's words with it; for rendering it is a scope.
      statement.kind = StatementKind::kScope;
      TERN_TRY(EndOfTag());
      TERN_ASSIGN_OR_RETURN(statement.body, ReadBodyToEnd("endgeneration"));
    } else if (word == "break" || word == "continue") {
      if (loops_ == 0) return Fail(Code::kCorrupt, "line {}: {} outside a loop", line, word);
      statement.kind = word == "break" ? StatementKind::kBreak : StatementKind::kContinue;
      TERN_TRY(EndOfTag());
    } else {
      return Unsupported(line, fmt::format("the statement {:?}", word.substr(0, 40)));
    }
    body.push_back(std::move(statement));
    return {};
  }

  Status If(Statement& statement) {
    statement.kind = StatementKind::kIf;
    std::string word = "if";
    while (word != "endif") {
      Statement::Branch branch;
      if (word != "else") {
        TERN_ASSIGN_OR_RETURN(branch.condition, Tuple());
      }
      TERN_TRY(EndOfTag());
      TERN_ASSIGN_OR_RETURN(
          branch.body, ReadBody(word == "else" ? Words{"endif"} : Words{"elif", "else", "endif"}));
      statement.branches.push_back(std::move(branch));
      word = Next().text;
    }
    return EndOfTag();
  }

  /// "a", "a, b" or "(a, b)".
  Status Targets(Statement& statement) {
    const bool parentheses = TakeOperator("(");
    do {
      if (Peek().kind == TokenKind::kOperator && statement.unpack) break;  // "a, = ..."
      TERN_ASSIGN_OR_RETURN(std::string name, ExpectName("a name"));
      statement.names.push_back(std::move(name));
      if (IsOperator(",")) statement.unpack = true;
    } while (TakeOperator(","));
    return parentheses ? Expect(TokenKind::kOperator, ")") : Status();
  }

  Status For(Statement& statement) {
    statement.kind = StatementKind::kFor;
    TERN_TRY(Targets(statement));
    TERN_TRY(Expect(TokenKind::kName, "in"));
    TERN_ASSIGN_OR_RETURN(statement.expression, Tuple(false));
    if (TakeWord("if")) {
      TERN_ASSIGN_OR_RETURN(statement.condition, Whole());
    }
    if (IsWord("recursive")) return Unsupported(statement.line, "a recursive loop");
    TERN_TRY(EndOfTag());
    ++loops_;
    TERN_ASSIGN_OR_RETURN(statement.body, ReadBody({"else", "endfor"}));
    --loops_;
    if (TakeWord("else")) {
      TERN_TRY(EndOfTag());
      TERN_ASSIGN_OR_RETURN(statement.otherwise, ReadBody({"endfor"}));
    }
    return CloseTag();
  }

  Status Set(Statement& statement) {
    statement.kind = StatementKind::kSet;
    if (PeekNext().kind == TokenKind::kOperator && PeekNext().text == ".") {
      TERN_ASSIGN_OR_RETURN(statement.text, ExpectName("a name"));
      Next();
      TERN_ASSIGN_OR_RETURN(statement.member, ExpectName("a name"));
    } else {
      TERN_TRY(Targets(statement));
    }
    if (TakeOperator("=")) {
      TERN_ASSIGN_OR_RETURN(statement.expression, Tuple());
      return EndOfTag();
    }
    if (statement.unpack) return Wrong("'='");
    TERN_TRY(FilterChain(statement.condition));
    TERN_TRY(EndOfTag());
    TERN_ASSIGN_OR_RETURN(statement.body, ReadBodyToEnd("endset"));
    return {};
  }

  Status Macro(Statement& statement) {
    statement.kind = StatementKind::kMacro;
    TERN_ASSIGN_OR_RETURN(statement.text, ExpectName("the name of a macro"));
    TERN_TRY(Expect(TokenKind::kOperator, "("));
    while (!TakeOperator(")")) {
      if (!statement.names.empty()) TERN_TRY(Expect(TokenKind::kOperator, ","));
      TERN_ASSIGN_OR_RETURN(std::string name, ExpectName("a parameter"));
      statement.names.push_back(std::move(name));
      if (TakeOperator("=")) {
        TERN_ASSIGN_OR_RETURN(ExpressionPtr value, Whole());
        statement.defaults.push_back(std::move(value));
      } else if (!statement.defaults.empty()) {
        return Wrong("a default, as the parameter before has one");
      }
    }
    TERN_TRY(EndOfTag());
    const int loops = std::exchange(loops_, 0);
    TERN_ASSIGN_OR_RETURN(statement.body, ReadBody({"endmacro"}));
    loops_ = loops;
    Next();
    TakeWord(statement.text);
    return EndOfTag();
  }

  /// "| trim | upper" behind `set name`; null when there is none.
  Status FilterChain(ExpressionPtr& chain) {
    if (!IsOperator("|")) return {};
    TERN_ASSIGN_OR_RETURN(chain, FiltersOf(nullptr));
    return {};
  }

  int loops_ = 0;  // around the current statement
};

}  // namespace

Result<Body> Parse(std::string_view source) {
  TERN_ASSIGN_OR_RETURN(std::vector<Token> tokens, Lex(source));
  return Parser(std::move(tokens)).Run();
}

}  // namespace tern::jinja
