// From rules to deterministic automata: the subset construction, rule by rule.
#include <algorithm>
#include <unordered_map>

#include "grammar/limits.h"
#include "grammar/nfa.h"
#include "grammar/program.h"

namespace tern::grammar {
namespace {

using Set = std::vector<uint32_t>;  // sorted nodes of an Nfa

struct SetHash {
  size_t operator()(const Set& set) const {
    uint64_t h = set.size();
    for (const uint32_t v : set) h = (h ^ v) * 0x9e3779b97f4a7c15u;
    return static_cast<size_t>(h ^ (h >> 32));
  }
};

class Compiler {
 public:
  explicit Compiler(const RuleSet& rules) : rules_(rules) {}

  Result<Program> Run() {
    TERN_ASSIGN_OR_RETURN(facts_, Analyze(rules_));
    start_.assign(rules_.rules().size(), kNone);
    size_t budget = kMaxNodes;
    std::vector<Nfa> automata;
    std::vector<RuleId> owners;
    for (const RuleId rule : facts_.reachable) {
      if (facts_.inlined[rule] && rule != rules_.root()) continue;
      TERN_ASSIGN_OR_RETURN(Nfa nfa, BuildNfa(rules_, facts_, rule, budget));
      automata.push_back(std::move(nfa));
      owners.push_back(rule);
    }
    ClassifyBytes(automata);
    for (size_t i = 0; i < automata.size(); ++i)
      TERN_TRY(Determinize(automata[i], &start_[owners[i]]));
    LinkCalls();
    program_.start = start_[rules_.root()];
    program_.calls_per_byte = facts_.calls_per_byte;
    return std::move(program_);
  }

 private:
  void ClassifyBytes(const std::vector<Nfa>& automata) {
    std::array<bool, 257> border = {};
    border[0] = true;
    for (const Nfa& nfa : automata)
      for (const NfaNode& node : nfa.nodes)
        for (const ByteEdge& edge : node.bytes)
          border[edge.low] = border[size_t{edge.high} + 1] = true;
    uint32_t count = 0;
    for (size_t byte = 0; byte < 256; ++byte) {
      if (border[byte]) ++count;
      program_.byte_class[byte] = static_cast<uint8_t>(count - 1);
    }
    program_.classes = count;
  }

  /// Adds what is reached without reading; sorts.
  void Close(const Nfa& nfa, Set& set) {
    for (const uint32_t node : set) seen_[node] = true;
    for (size_t i = 0; i < set.size(); ++i) {
      for (const uint32_t next : nfa.nodes[set[i]].empty) {
        ++work_;
        if (seen_[next]) continue;
        seen_[next] = true;
        set.push_back(next);
      }
    }
    for (const uint32_t node : set) seen_[node] = false;
    // What only leads on without reading tells sets apart that behave alike.
    std::erase_if(set, [&nfa](uint32_t node) {
      return node != 1 && nfa.nodes[node].bytes.empty() && nfa.nodes[node].calls.empty();
    });
    std::sort(set.begin(), set.end());
    set.erase(std::unique(set.begin(), set.end()), set.end());
    work_ += set.size();
  }

  StateId StateOf(const Nfa& nfa, Set set) {
    Close(nfa, set);
    const auto [entry, fresh] =
        known_.try_emplace(std::move(set), static_cast<StateId>(program_.states.size()));
    if (fresh) {
      const Set& nodes = entry->first;
      State state;
      state.accepting = std::find(nodes.begin(), nodes.end(), 1u) != nodes.end();
      program_.states.push_back(state);
      program_.next.resize(program_.next.size() + program_.classes, kNone);
      open_.push_back(&nodes);
    }
    return entry->second;
  }

  Status Determinize(const Nfa& nfa, StateId* start) {
    seen_.assign(nfa.nodes.size(), false);
    known_.clear();
    open_.clear();
    std::vector<Set> targets(program_.classes);
    *start = StateOf(nfa, {0});
    const StateId first = *start;
    for (size_t i = 0; i < open_.size(); ++i) {
      const Set& nodes = *open_[i];
      const auto state = static_cast<StateId>(first + i);
      std::vector<CallEdge> calls;
      for (const uint32_t node : nodes) {
        for (const ByteEdge& edge : nfa.nodes[node].bytes) {
          const uint32_t low = program_.byte_class[edge.low], high = program_.byte_class[edge.high];
          work_ += high - low + 1;
          for (uint32_t c = low; c <= high; ++c) targets[c].push_back(edge.to);
        }
        const auto& made = nfa.nodes[node].calls;
        calls.insert(calls.end(), made.begin(), made.end());
      }
      for (uint32_t c = 0; c < program_.classes; ++c) {
        if (targets[c].empty()) continue;
        Set set;
        set.swap(targets[c]);
        // The nodes may repeat; Close wants to see each once.
        std::sort(set.begin(), set.end());
        set.erase(std::unique(set.begin(), set.end()), set.end());
        const StateId next = StateOf(nfa, std::move(set));
        program_.next[size_t{state} * program_.classes + c] = next;
        program_.states[state].live = true;
      }
      AddCalls(nfa, state, std::move(calls));
      if (program_.states.size() > kMaxStates || program_.next.size() > kMaxCells ||
          work_ > kMaxWork)
        return Fail(Code::kResourceExhausted,
                    "grammar: rule '{}' takes more than {} states or {} steps to compile; look for "
                    "large repetition counts of alternatives that begin alike",
                    RuleOf(start), std::min(kMaxStates, kMaxCells / program_.classes), kMaxWork);
    }
    return {};
  }

  const std::string& RuleOf(const StateId* start) const {
    return rules_.rules()[static_cast<size_t>(start - start_.data())].name;
  }

  void AddCalls(const Nfa& nfa, StateId state, std::vector<CallEdge> calls) {
    std::sort(calls.begin(), calls.end(),
              [](const CallEdge& a, const CallEdge& b) { return a.rule < b.rule; });
    const auto first = static_cast<uint32_t>(program_.calls.size());
    for (size_t i = 0; i < calls.size();) {
      const RuleId rule = calls[i].rule;
      Set set;
      for (; i < calls.size() && calls[i].rule == rule; ++i) set.push_back(calls[i].to);
      std::sort(set.begin(), set.end());
      set.erase(std::unique(set.begin(), set.end()), set.end());
      program_.calls.push_back({rule, StateOf(nfa, std::move(set))});
    }
    program_.states[state].first_call = first;
    program_.states[state].calls = static_cast<uint32_t>(program_.calls.size()) - first;
  }

  /// Rules become their first states; a call after which nothing is left becomes a jump.
  void LinkCalls() {
    for (RuleCall& call : program_.calls) {
      call.callee = start_[call.callee];
      const State& after = program_.states[call.after];
      if (after.accepting && !after.live && after.calls == 0) call.after = kNone;
    }
  }

  const RuleSet& rules_;
  RuleFacts facts_;
  Program program_;
  std::vector<StateId> start_;                       // by rule
  std::unordered_map<Set, StateId, SetHash> known_;  // of the rule at hand
  std::vector<const Set*> open_;                     // its states in order
  std::vector<bool> seen_;
  uint64_t work_ = 0;
};

}  // namespace

Result<Program> Compile(const RuleSet& rules) { return Compiler(rules).Run(); }

}  // namespace tern::grammar
