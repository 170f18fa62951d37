// GBNF, llama.cpp's notation for grammars, to rules.
#pragma once

#include <string_view>

#include "base/result.h"
#include "grammar/rule_set.h"

namespace tern::grammar {

/// Adds the rules of `text`. Root is the rule "root", if there is one. Errors as
/// Grammar::FromGbnf's; whether every rule is defined is Compile's to say.
Status ParseGbnf(std::string_view text, RuleSet& rules);

}  // namespace tern::grammar
