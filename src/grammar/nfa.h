// The nondeterministic automaton of one rule.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "grammar/program.h"
#include "grammar/rule_set.h"

namespace tern::grammar {

struct ByteEdge {
  uint8_t low, high;
  uint32_t to;
};
struct CallEdge {
  RuleId rule;
  uint32_t to;
};
struct NfaNode {
  std::vector<ByteEdge> bytes = {};
  std::vector<CallEdge> calls = {};
  std::vector<uint32_t> empty = {};
};
/// Begins at node 0 and ends at node 1.
struct Nfa {
  std::vector<NfaNode> nodes;
};

/// `budget`: nodes that may still be made, counted down. Error: kResourceExhausted.
Result<Nfa> BuildNfa(const RuleSet& rules, const RuleFacts& facts, RuleId rule, size_t& budget);

}  // namespace tern::grammar
