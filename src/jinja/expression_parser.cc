#include <algorithm>
#include <array>
#include <charconv>

#include "jinja/names.h"
#include "jinja/parser.h"

namespace tern::jinja {
namespace {

constexpr int kMaxNesting = 100;

std::string Shown(const Token& token) {
  switch (token.kind) {
    case TokenKind::kData:
      return "text";
    case TokenKind::kVariableBegin:
      return "{{";
    case TokenKind::kVariableEnd:
      return "}}";
    case TokenKind::kBlockBegin:
      return "{%";
    case TokenKind::kBlockEnd:
      return "%}";
    case TokenKind::kEnd:
      return "the end of the template";
    default:
      return fmt::format("{:?}", token.text.substr(0, 40));
  }
}

}  // namespace

Token ExpressionParser::Next() {
  const Token token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool ExpressionParser::IsOperator(std::string_view text) const {
  return Peek().kind == TokenKind::kOperator && Peek().text == text;
}
bool ExpressionParser::IsWord(std::string_view text) const {
  return Peek().kind == TokenKind::kName && Peek().text == text;
}
bool ExpressionParser::TakeOperator(std::string_view text) {
  const bool found = IsOperator(text);
  if (found) Next();
  return found;
}
bool ExpressionParser::TakeWord(std::string_view text) {
  const bool found = IsWord(text);
  if (found) Next();
  return found;
}

Status ExpressionParser::Expect(TokenKind kind, std::string_view text) {
  const bool same = Peek().kind == kind && (kind == TokenKind::kBlockEnd ||
                                            kind == TokenKind::kVariableEnd || Peek().text == text);
  if (!same) return Wrong(fmt::format("'{}'", text));
  Next();
  return {};
}

Result<std::string> ExpressionParser::ExpectName(std::string_view what) {
  if (Peek().kind != TokenKind::kName) return Wrong(what);
  return Next().text;
}

tl::unexpected<Error> ExpressionParser::Wrong(std::string_view expected) const {
  return Fail(Code::kCorrupt, "line {}: found {}, expected {}", Peek().line, Shown(Peek()),
              expected);
}

tl::unexpected<Error> ExpressionParser::Unsupported(int line, std::string_view construct) const {
  return Fail(Code::kUnsupported, "line {}: {} is not supported", line, construct);
}

Status ExpressionParser::Enter() {
  if (++depth_ > kMaxNesting)
    return Fail(Code::kResourceExhausted, "line {}: nested deeper than {} levels", Peek().line,
                kMaxNesting);
  return {};
}

ExpressionPtr ExpressionParser::Make(ExpressionKind kind, std::string text) const {
  auto made = std::make_unique<Expression>();
  made->kind = kind;
  made->line = Peek().line;
  made->text = std::move(text);
  return made;
}

ExpressionParser::Parsed ExpressionParser::Tuple(bool choice) {
  const auto ends = [this] {
    const TokenKind kind = Peek().kind;
    return kind == TokenKind::kVariableEnd || kind == TokenKind::kBlockEnd || IsOperator(")");
  };
  const auto item = [&] { return choice ? Choice() : Or(); };
  TERN_ASSIGN_OR_RETURN(ExpressionPtr first, item());
  if (!IsOperator(",")) return first;
  ExpressionPtr tuple = Make(ExpressionKind::kTuple);
  tuple->children.push_back(std::move(first));
  while (TakeOperator(",") && !ends()) {
    TERN_ASSIGN_OR_RETURN(ExpressionPtr next, item());
    tuple->children.push_back(std::move(next));
  }
  return tuple;
}

ExpressionParser::Parsed ExpressionParser::Choice() {
  TERN_TRY(Enter());
  TERN_ASSIGN_OR_RETURN(ExpressionPtr value, Or());
  int chained = 0;
  while (IsWord("if")) {
    // Chains grow the tree by a level each.
    TERN_TRY(Enter());
    ++chained;
    ExpressionPtr choice = Make(ExpressionKind::kChoice);
    Next();
    TERN_ASSIGN_OR_RETURN(ExpressionPtr condition, Or());
    ExpressionPtr otherwise;
    if (TakeWord("else")) {
      TERN_ASSIGN_OR_RETURN(otherwise, Choice());
    }
    choice->children.push_back(std::move(condition));
    choice->children.push_back(std::move(value));
    choice->children.push_back(std::move(otherwise));
    value = std::move(choice);
  }
  depth_ -= chained;
  Leave();
  return value;
}

ExpressionParser::Parsed ExpressionParser::LeftToRight(
    Level operand, std::initializer_list<std::string_view> operators) {
  TERN_ASSIGN_OR_RETURN(ExpressionPtr left, (this->*operand)());
  int chained = 0;
  while (true) {
    const auto found = std::find_if(operators.begin(), operators.end(),
                                    [this](auto text) { return IsOperator(text) || IsWord(text); });
    if (found == operators.end()) break;
    TERN_TRY(Enter());
    ++chained;
    ExpressionPtr binary = Make(ExpressionKind::kBinary, std::string(*found));
    Next();
    TERN_ASSIGN_OR_RETURN(ExpressionPtr right, (this->*operand)());
    binary->children.push_back(std::move(left));
    binary->children.push_back(std::move(right));
    left = std::move(binary);
  }
  depth_ -= chained;
  return left;
}

ExpressionParser::Parsed ExpressionParser::Or() {
  return LeftToRight(&ExpressionParser::And, {"or"});
}
ExpressionParser::Parsed ExpressionParser::And() {
  return LeftToRight(&ExpressionParser::Not, {"and"});
}

ExpressionParser::Parsed ExpressionParser::Not() {
  if (!IsWord("not")) return Comparison();
  TERN_TRY(Enter());
  ExpressionPtr negated = Make(ExpressionKind::kUnary, "not");
  Next();
  TERN_ASSIGN_OR_RETURN(ExpressionPtr child, Not());
  negated->children.push_back(std::move(child));
  Leave();
  return negated;
}

ExpressionParser::Parsed ExpressionParser::Comparison() {
  TERN_ASSIGN_OR_RETURN(ExpressionPtr first, Sum());
  ExpressionPtr comparison = Make(ExpressionKind::kCompare);
  while (true) {
    std::string found;
    for (const std::string_view text : {"==", "!=", "<", "<=", ">", ">="})
      if (IsOperator(text)) found = text;
    if (IsWord("in")) found = "in";
    if (IsWord("not") && PeekNext().kind == TokenKind::kName && PeekNext().text == "in") {
      found = "not in";
      Next();
    }
    if (found.empty()) break;
    Next();
    if (comparison->children.empty()) comparison->children.push_back(std::move(first));
    TERN_ASSIGN_OR_RETURN(ExpressionPtr next, Sum());
    comparison->operators.push_back(std::move(found));
    comparison->children.push_back(std::move(next));
  }
  if (comparison->children.empty()) return first;
  return comparison;
}

ExpressionParser::Parsed ExpressionParser::Sum() {
  return LeftToRight(&ExpressionParser::Joined, {"+", "-"});
}
ExpressionParser::Parsed ExpressionParser::Joined() {
  return LeftToRight(&ExpressionParser::Product, {"~"});
}
ExpressionParser::Parsed ExpressionParser::Product() {
  return LeftToRight(&ExpressionParser::Power, {"*", "/", "//", "%"});
}
ExpressionParser::Parsed ExpressionParser::Power() {
  return LeftToRight(&ExpressionParser::Unary, {"**"});
}

ExpressionParser::Parsed ExpressionParser::UnaryWith(bool filters) {
  ExpressionPtr value;
  if (IsOperator("-") || IsOperator("+")) {
    TERN_TRY(Enter());
    value = Make(ExpressionKind::kUnary, Peek().text);
    Next();
    TERN_ASSIGN_OR_RETURN(ExpressionPtr child, UnaryWith(false));
    value->children.push_back(std::move(child));
    Leave();
  } else {
    TERN_ASSIGN_OR_RETURN(value, Primary());
  }
  TERN_ASSIGN_OR_RETURN(value, Postfix(std::move(value)));
  if (!filters) return value;
  return FiltersOf(std::move(value));
}

ExpressionParser::Parsed ExpressionParser::Primary() {
  const Token token = Peek();
  switch (token.kind) {
    case TokenKind::kName:
      return Name();
    case TokenKind::kString: {
      ExpressionPtr constant = Make(ExpressionKind::kConstant);
      std::string text;
      while (Peek().kind == TokenKind::kString) text += Next().text;
      constant->value = TemplateText(text);
      return constant;
    }
    case TokenKind::kInteger:
    case TokenKind::kFloat: {
      ExpressionPtr constant = Make(ExpressionKind::kConstant);
      int64_t integer = 0;
      double number = 0;
      const char* end = token.text.data() + token.text.size();
      const auto [stop, ec] = token.kind == TokenKind::kInteger
                                  ? std::from_chars(token.text.data(), end, integer)
                                  : std::from_chars(token.text.data(), end, number);
      if (ec != std::errc() || stop != end)
        return Unsupported(token.line, fmt::format("the number {}", token.text.substr(0, 40)));
      constant->value = token.kind == TokenKind::kInteger ? Value(integer) : Value(number);
      Next();
      return constant;
    }
    case TokenKind::kOperator:
      if (token.text == "(") return Parentheses();
      if (token.text == "[") return ListLiteral();
      if (token.text == "{") return DictLiteral();
      [[fallthrough]];
    default:
      return Wrong("an expression");
  }
}

ExpressionParser::Parsed ExpressionParser::Name() {
  const std::string& text = Peek().text;
  ExpressionPtr made = Make(ExpressionKind::kConstant);
  if (text == "true" || text == "True" || text == "false" || text == "False") {
    made->value = text == "true" || text == "True";
  } else if (text == "none" || text == "None") {
    made->value = None{};
  } else {
    constexpr std::array<std::string_view, 7> kReserved = {"if",  "else", "in", "is",
                                                           "not", "and",  "or"};
    if (std::find(kReserved.begin(), kReserved.end(), text) != kReserved.end())
      return Wrong("an expression");
    made->kind = ExpressionKind::kName;
    made->text = text;
  }
  Next();
  return made;
}

ExpressionParser::Parsed ExpressionParser::Parentheses() {
  ExpressionPtr empty = Make(ExpressionKind::kTuple);
  Next();
  if (TakeOperator(")")) return empty;
  TERN_ASSIGN_OR_RETURN(ExpressionPtr inside, Tuple());
  TERN_TRY(Expect(TokenKind::kOperator, ")"));
  return inside;
}

ExpressionParser::Parsed ExpressionParser::ListLiteral() {
  ExpressionPtr list = Make(ExpressionKind::kList);
  Next();
  while (!IsOperator("]")) {
    if (!list->children.empty()) TERN_TRY(Expect(TokenKind::kOperator, ","));
    if (IsOperator("]")) break;
    TERN_ASSIGN_OR_RETURN(ExpressionPtr item, Choice());
    list->children.push_back(std::move(item));
  }
  Next();
  return list;
}

ExpressionParser::Parsed ExpressionParser::DictLiteral() {
  ExpressionPtr dict = Make(ExpressionKind::kDict);
  Next();
  while (!IsOperator("}")) {
    if (!dict->children.empty()) TERN_TRY(Expect(TokenKind::kOperator, ","));
    if (IsOperator("}")) break;
    TERN_ASSIGN_OR_RETURN(ExpressionPtr key, Choice());
    TERN_TRY(Expect(TokenKind::kOperator, ":"));
    TERN_ASSIGN_OR_RETURN(ExpressionPtr value, Choice());
    dict->children.push_back(std::move(key));
    dict->children.push_back(std::move(value));
  }
  Next();
  return dict;
}

ExpressionParser::Parsed ExpressionParser::Postfix(ExpressionPtr value) {
  int chained = 0;
  while (IsOperator(".") || IsOperator("[") || IsOperator("(")) {
    TERN_TRY(Enter());
    ++chained;
    if (IsOperator("(")) {
      ExpressionPtr call = Make(ExpressionKind::kCall);
      call->children.push_back(std::move(value));
      TERN_TRY(Arguments(*call));
      value = std::move(call);
    } else {
      TERN_ASSIGN_OR_RETURN(
          value, IsOperator(".") ? Attribute(std::move(value)) : Subscript(std::move(value)));
    }
  }
  depth_ -= chained;
  return value;
}

ExpressionParser::Parsed ExpressionParser::Attribute(ExpressionPtr object) {
  Next();
  ExpressionPtr made = Make(ExpressionKind::kAttribute, Peek().text);
  if (Peek().kind == TokenKind::kInteger) {
    TERN_ASSIGN_OR_RETURN(ExpressionPtr index, Primary());
    made->kind = ExpressionKind::kIndex;
    made->children.push_back(std::move(object));
    made->children.push_back(std::move(index));
    return made;
  }
  TERN_ASSIGN_OR_RETURN(made->text, ExpectName("a name or a number"));
  made->children.push_back(std::move(object));
  return made;
}

ExpressionParser::Parsed ExpressionParser::Subscript(ExpressionPtr object) {
  Next();
  ExpressionPtr made = Make(ExpressionKind::kIndex);
  made->children.push_back(std::move(object));
  const auto part = [this]() -> Parsed {
    if (IsOperator(":") || IsOperator("]")) return nullptr;
    return Choice();
  };
  TERN_ASSIGN_OR_RETURN(ExpressionPtr first, part());
  const bool has_first = first != nullptr;
  made->children.push_back(std::move(first));
  while (made->children.size() < 4 && TakeOperator(":")) {
    made->kind = ExpressionKind::kSlice;
    TERN_ASSIGN_OR_RETURN(ExpressionPtr next, part());
    made->children.push_back(std::move(next));
  }
  if (made->kind == ExpressionKind::kSlice) made->children.resize(4);
  if (made->kind == ExpressionKind::kIndex && !has_first) return Wrong("an expression");
  if (IsOperator(",")) return Unsupported(Peek().line, "a subscript with a comma");
  TERN_TRY(Expect(TokenKind::kOperator, "]"));
  return made;
}

ExpressionParser::Parsed ExpressionParser::FiltersOf(ExpressionPtr value) {
  int chained = 0;
  while (IsOperator("|") || IsOperator("(") || IsWord("is")) {
    TERN_TRY(Enter());
    ++chained;
    if (IsOperator("|")) {
      TERN_ASSIGN_OR_RETURN(value, Filter(std::move(value)));
    } else if (IsOperator("(")) {
      ExpressionPtr call = Make(ExpressionKind::kCall);
      call->children.push_back(std::move(value));
      TERN_TRY(Arguments(*call));
      value = std::move(call);
    } else {
      TERN_ASSIGN_OR_RETURN(value, Test(std::move(value)));
    }
  }
  depth_ -= chained;
  return value;
}

ExpressionParser::Parsed ExpressionParser::Filter(ExpressionPtr value) {
  Next();
  ExpressionPtr filter = Make(ExpressionKind::kFilter);
  TERN_ASSIGN_OR_RETURN(filter->text, ExpectName("the name of a filter"));
  if (!IsFilter(filter->text))
    return Unsupported(filter->line, fmt::format("the filter {:?}", filter->text.substr(0, 40)));
  filter->children.push_back(std::move(value));
  if (IsOperator("(")) TERN_TRY(Arguments(*filter));
  return filter;
}

ExpressionParser::Parsed ExpressionParser::Test(ExpressionPtr value) {
  Next();
  const bool negated = TakeWord("not");
  ExpressionPtr test = Make(ExpressionKind::kTest);
  TERN_ASSIGN_OR_RETURN(test->text, ExpectName("the name of a test"));
  if (!IsTest(test->text))
    return Unsupported(test->line, fmt::format("the test {:?}", test->text.substr(0, 40)));
  test->children.push_back(std::move(value));
  if (IsOperator("(")) {
    TERN_TRY(Arguments(*test));
  } else {
    TERN_ASSIGN_OR_RETURN(ExpressionPtr argument, TestArgument());
    if (argument != nullptr) test->arguments.push_back(std::move(argument));
  }
  if (!negated) return test;
  ExpressionPtr inverse = Make(ExpressionKind::kUnary, "not");
  inverse->children.push_back(std::move(test));
  return inverse;
}

/// "is divisibleby 3": one argument without parentheses; null when there is none.
ExpressionParser::Parsed ExpressionParser::TestArgument() {
  const Token& token = Peek();
  const bool literal = token.kind == TokenKind::kString || token.kind == TokenKind::kInteger ||
                       token.kind == TokenKind::kFloat || IsOperator("[") || IsOperator("{");
  const bool name = token.kind == TokenKind::kName && !IsWord("else") && !IsWord("or") &&
                    !IsWord("and") && !IsWord("is") && !IsWord("if") && !IsWord("in") &&
                    !IsWord("not");
  if (!literal && !name) return nullptr;
  TERN_ASSIGN_OR_RETURN(ExpressionPtr argument, Primary());
  return Postfix(std::move(argument));
}

Status ExpressionParser::Arguments(Expression& call) {
  Next();
  bool first = true;
  while (!IsOperator(")")) {
    if (!first) TERN_TRY(Expect(TokenKind::kOperator, ","));
    first = false;
    if (IsOperator(")")) break;
    if (IsOperator("*") || IsOperator("**"))
      return Unsupported(Peek().line, "*arguments in a call");
    const bool named = Peek().kind == TokenKind::kName && PeekNext().kind == TokenKind::kOperator &&
                       PeekNext().text == "=";
    std::string name;
    if (named) {
      name = Next().text;
      Next();
    } else if (!call.named.empty()) {
      return Wrong("a named argument behind a named one");
    }
    TERN_ASSIGN_OR_RETURN(ExpressionPtr value, Choice());
    if (named) {
      call.named.emplace_back(std::move(name), std::move(value));
    } else {
      call.arguments.push_back(std::move(value));
    }
  }
  Next();
  return {};
}

}  // namespace tern::jinja
