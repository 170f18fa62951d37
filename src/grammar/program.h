// A compiled grammar: every rule a deterministic automaton over bytes that may call other rules.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "grammar/rule_set.h"

namespace tern::grammar {

using StateId = uint32_t;

/// Before the state's own bytes go on, the callee may be run from `callee`, and then `after`.
struct RuleCall {
  StateId callee = 0;
  StateId after = kNone;  // kNone: the caller ends with the callee, nothing has to be kept
};

struct State {
  uint32_t first_call = 0, calls = 0;  // into Program::calls
  bool accepting = false;              // the rule may end here
  bool live = false;                   // some byte leads on
};

/// Immutable. Bytes that no part of the grammar tells apart share a class.
struct Program {
  std::array<uint8_t, 256> byte_class = {};
  uint32_t classes = 0;
  std::vector<StateId> next;  // (states, classes); kNone: nowhere
  std::vector<State> states;
  std::vector<RuleCall> calls;
  StateId start = 0;
  /// Calls that one byte can push at most, so a bound on how fast stacks grow.
  uint32_t calls_per_byte = 1;

  StateId Next(StateId state, uint32_t input) const {
    return next[size_t{state} * classes + input];
  }
};

/// What compiling needs to know about rules beforehand.
struct RuleFacts {
  std::vector<RuleId> reachable;  // from the root, the root first
  std::vector<bool> inlined;      // by rule: small and without loops or recursion
  uint32_t calls_per_byte = 1;
};

/// Errors: kInvalidArgument for an undefined rule, left recursion (with its cycle), a rule that can
/// never end; kResourceExhausted.
Result<RuleFacts> Analyze(const RuleSet& rules);

/// Errors: Analyze's, and kResourceExhausted for automata beyond limits.h.
Result<Program> Compile(const RuleSet& rules);

}  // namespace tern::grammar
