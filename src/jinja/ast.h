// A parsed template.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jinja/value.h"

namespace tern::jinja {

enum class ExpressionKind : uint8_t {
  kConstant,   // value
  kName,       // text
  kList,       // children
  kTuple,      // children
  kDict,       // children: key, value, key, value, ...
  kUnary,      // text: - + not; one child
  kBinary,     // text: + - * / // % ** ~ and or; two children
  kCompare,    // children a, b, c with operators between them
  kChoice,     // children: condition, then, else (may be null)
  kAttribute,  // child . text
  kIndex,      // child [ child ]
  kSlice,      // child [ from : to : step ], each may be null
  kCall,       // child ( arguments )
  kFilter,     // child (null: the body of a set) | text ( arguments )
  kTest,       // child is text ( arguments )
};

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct Expression {
  ExpressionKind kind = ExpressionKind::kConstant;
  int line = 0;
  std::string text;
  Value value;
  std::vector<ExpressionPtr> children;
  std::vector<std::string> operators;
  std::vector<ExpressionPtr> arguments;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
};

enum class StatementKind : uint8_t {
  kData,    // text
  kOutput,  // expression
  kIf,      // branches
  kFor,     // names in expression, if condition: body, else otherwise
  kSet,     // names (or text.member) = expression, or the output of body through filter `condition`
  kMacro,   // text, names with defaults: body
  kScope,   // body with names of its own
  kBreak,
  kContinue,
};

struct Statement;
using Body = std::vector<Statement>;

struct Statement {
  struct Branch {
    ExpressionPtr condition;  // null: else
    Body body;
  };

  StatementKind kind = StatementKind::kData;
  int line = 0;
  std::string text;
  std::string member;
  std::vector<std::string> names;
  bool unpack = false;  // names are a tuple, even if there is one
  ExpressionPtr expression;
  ExpressionPtr condition;
  std::vector<ExpressionPtr> defaults;  // of the last parameters
  std::vector<Branch> branches;
  Body body;
  Body otherwise;
};

}  // namespace tern::jinja
