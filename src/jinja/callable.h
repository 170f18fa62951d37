// What template expressions can call.
#pragma once

#include <memory>
#include <string>

#include "jinja/value.h"

namespace tern::jinja {

struct Statement;
struct Scope;

struct Callable {
  std::string name;                  // of a function ("range") or a method ("strip")
  Value self = Undefined{};          // the object of a method
  bool method = false;               // else a function or a macro
  const Statement* macro = nullptr;  // its definition
  // Where a macro was defined. Not owned: the scope owns the macro by its name.
  std::weak_ptr<Scope> scope;
};

}  // namespace tern::jinja
