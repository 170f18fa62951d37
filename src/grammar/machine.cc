#include "grammar/machine.h"

#include <algorithm>

#include "grammar/limits.h"

namespace tern::grammar {

Machine::Machine(const Program& program) : program_(program) { Reset(); }

void Machine::Reset() {
  nodes_.assign(1, {});
  node_ids_.clear();
  configs_.clear();
  items_.clear();
  config_ids_.clear();
  steps_.clear();
  seen_.assign(1, 0);
  closure_ = 0;
  live_.clear();
  InternConfig(false);
  std::fill(steps_.begin(), steps_.end(), 0);  // from the empty set there is no way
}

bool Machine::Full() const {
  return items_.size() + steps_.size() + nodes_.size() > kMaxMachineItems;
}

NodeId Machine::Push(StateId state, NodeId below) {
  const uint64_t key = (uint64_t{state} << 32) | below;
  const auto [entry, fresh] = node_ids_.try_emplace(key, static_cast<NodeId>(nodes_.size()));
  if (fresh) {
    nodes_.push_back({state, below, nodes_[below].depth + 1});
    seen_.push_back(0);
  }
  return entry->second;
}

ConfigId Machine::Start() { return Close(Push(program_.start, 0)); }

ConfigId Machine::Close(NodeId node) {
  work_.assign(1, node);
  return CloseWork();
}

ConfigId Machine::ComputeStep(ConfigId config, uint32_t byte_class) {
  work_.clear();
  for (uint32_t i = 0; i < configs_[config].count; ++i) {
    const Node node = nodes_[items_[configs_[config].first + i]];
    const StateId next = program_.Next(node.state, byte_class);
    if (next != kNone) work_.push_back(Push(next, node.below));
  }
  const ConfigId to = CloseWork();
  steps_[size_t{config} * program_.classes + byte_class] = to;
  return to;
}

ConfigId Machine::CloseWork() {
  // Order decides which readings are dropped, so it must come from the stacks alone and not from
  // what this machine happens to have seen before.
  ++closure_;
  live_.clear();
  bool accepts = false;
  const auto visit = [this](NodeId node) {
    if (seen_[node] == closure_) return;
    seen_[node] = closure_;
    work_.push_back(node);
  };
  std::vector<NodeId> first;
  first.swap(work_);
  for (const NodeId node : first) visit(node);
  first.clear();
  for (size_t i = 0; i < work_.size() && live_.size() < kMaxStacks && i < 16 * kMaxStacks; ++i) {
    const NodeId node = work_[i];
    if (node == 0) {
      accepts = true;
      continue;
    }
    const Node top = nodes_[node];
    const State& state = program_.states[top.state];
    if (state.live) live_.push_back(node);
    for (uint32_t c = 0; c < state.calls; ++c) {
      const RuleCall& call = program_.calls[state.first_call + c];
      visit(Push(call.callee, call.after == kNone ? top.below : Push(call.after, top.below)));
    }
    if (state.accepting) visit(top.below);
  }
  return InternConfig(accepts);
}

ConfigId Machine::InternConfig(bool accepts) {
  uint64_t hash = accepts ? 1 : 0;
  for (const NodeId node : live_) {
    hash = (hash ^ node) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
  }
  const auto [begin, end] = config_ids_.equal_range(hash);
  for (auto at = begin; at != end; ++at) {
    const std::span<const NodeId> stacks = Stacks(at->second);
    if (configs_[at->second].accepts == accepts &&
        std::equal(stacks.begin(), stacks.end(), live_.begin(), live_.end()))
      return at->second;
  }
  const auto id = static_cast<ConfigId>(configs_.size());
  configs_.push_back(
      {static_cast<uint32_t>(items_.size()), static_cast<uint32_t>(live_.size()), accepts});
  items_.insert(items_.end(), live_.begin(), live_.end());
  steps_.resize(steps_.size() + program_.classes, kUnknown);
  config_ids_.emplace(hash, id);
  return id;
}

void Machine::Flatten(ConfigId config, FlatConfig& out) const {
  out.clear();
  if (Accepts(config)) out.push_back(0);
  for (NodeId node : Stacks(config)) {
    out.push_back(nodes_[node].depth);
    for (; node != 0; node = nodes_[node].below) out.push_back(nodes_[node].state);
  }
}

ConfigId Machine::Intern(std::span<const uint32_t> flat) {
  bool accepts = false;
  live_.clear();
  for (size_t at = 0; at < flat.size();) {
    const size_t depth = flat[at++];
    NodeId node = 0;
    for (size_t i = depth; i > 0; --i) node = Push(flat[at + i - 1], node);
    at += depth;
    if (depth == 0) {
      accepts = true;
    } else {
      live_.push_back(node);
    }
  }
  return InternConfig(accepts);
}

}  // namespace tern::grammar
