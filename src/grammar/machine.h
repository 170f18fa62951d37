// Sets of call stacks, and which set follows on which byte. Both are numbered as they turn up, so a
// walk over a vocabulary costs one table look-up per byte once the sets are known.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "grammar/program.h"

namespace tern::grammar {

using NodeId = uint32_t;    // a stack: its top state and the stack below; 0 is the empty stack
using ConfigId = uint32_t;  // a set of stacks; 0 is the empty set: the text can't be

/// The form of a set outside the machine: for each stack its depth, then its states, top first. The
/// empty stack (depth 0) comes first: the text may end here.
using FlatConfig = std::vector<uint32_t>;

/// Thread rule: one thread at a time. Numbers hold until Reset.
class Machine {
 public:
  explicit Machine(const Program& program);

  ConfigId Start();
  ConfigId Step(ConfigId config, uint8_t byte) {
    const uint32_t known = steps_[size_t{config} * program_.classes + program_.byte_class[byte]];
    return known != kUnknown ? known : ComputeStep(config, program_.byte_class[byte]);
  }
  /// The set after the calls and returns that read nothing, from one stack.
  ConfigId Close(NodeId node);

  bool Accepts(ConfigId config) const { return configs_[config].accepts; }
  /// Stacks whose top reads a byte, without the empty one. Invalid after the next Step or Close.
  std::span<const NodeId> Stacks(ConfigId config) const {
    return std::span(items_).subspan(configs_[config].first, configs_[config].count);
  }
  StateId Top(NodeId node) const { return nodes_[node].state; }
  NodeId Below(NodeId node) const { return nodes_[node].below; }
  uint32_t Depth(NodeId node) const { return nodes_[node].depth; }
  NodeId Push(StateId state, NodeId below);

  void Flatten(ConfigId config, FlatConfig& out) const;
  ConfigId Intern(std::span<const uint32_t> flat);

  /// Has grown so much that it should be reset before it goes on.
  bool Full() const;
  void Reset();

 private:
  static constexpr uint32_t kUnknown = UINT32_MAX;
  struct Node {
    StateId state = 0;
    NodeId below = 0;
    uint32_t depth = 0;
  };
  struct Config {
    uint32_t first = 0, count = 0;  // into items_
    bool accepts = false;
  };

  ConfigId ComputeStep(ConfigId config, uint32_t byte_class);
  /// Takes work_ (stacks, in order of preference) to the set it leads to.
  ConfigId CloseWork();
  ConfigId InternConfig(bool accepts);  // of live_

  const Program& program_;
  std::vector<Node> nodes_;
  std::unordered_map<uint64_t, NodeId> node_ids_;
  std::vector<Config> configs_;
  std::vector<NodeId> items_;
  std::unordered_multimap<uint64_t, ConfigId> config_ids_;
  std::vector<ConfigId> steps_;  // (configs, classes)
  std::vector<NodeId> work_, live_;
  std::vector<uint32_t> seen_;  // by node: the number of the closure that saw it
  uint32_t closure_ = 0;
};

}  // namespace tern::grammar
