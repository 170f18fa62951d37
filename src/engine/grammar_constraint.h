// A grammar as what an answer has to be.
#pragma once

#include <functional>
#include <memory>

#include "engine/answer.h"

namespace tern {

using ConstraintMaker = std::function<std::unique_ptr<Constraint>(std::shared_ptr<const Grammar>)>;

/// Constraints for texts of this tokenizer, which must outlive them. Its tokens are sorted for it
/// once, when the first constraint is made. Thread rule: any thread.
ConstraintMaker MakeGrammarConstraints(const Tokenizer& tokenizer);

}  // namespace tern
