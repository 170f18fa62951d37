// The masks of one grammar over one vocabulary.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "grammar/grammar.h"
#include "grammar/machine.h"
#include "grammar/program.h"
#include "grammar/trie.h"

namespace tern::grammar {

/// Bit id % 64 of word id / 64: the token is allowed. Without end tokens.
using Bits = std::vector<uint64_t>;

/// Most tokens are decided by the state on top of a stack alone: they end before its rule does.
/// That part is computed once per state; only where a token runs past the end of the rule does the
/// rest of the stack matter, and those few subtrees are walked for each stack. Whole masks are kept
/// for the stack sets used last. Nothing here changes a result, only when it is computed.
///
/// Thread rule: safe to share, one mutex.
class MaskCache {
 public:
  MaskCache(std::shared_ptr<const Program> program, std::shared_ptr<const TokenTrie> trie);

  void Start(FlatConfig& out);
  /// False, and nothing changes, when the bytes can't follow.
  bool Advance(FlatConfig& config, std::string_view bytes);
  bool Follows(const FlatConfig& config, std::string_view bytes);
  /// (vocab + 63) / 64 words.
  std::shared_ptr<const Bits> Mask(const FlatConfig& config);
  const TokenTrie* trie() const { return trie_.get(); }

 private:
  struct StateMask {
    std::vector<std::pair<uint32_t, uint64_t>> words;  // index, bits: those that aren't 0
    std::vector<uint32_t> exits;                       // trie nodes where the rule may have ended
  };

  std::optional<ConfigId> Run(std::span<const uint32_t> config, std::string_view bytes);
  std::shared_ptr<const Bits> ComputeMask(const FlatConfig& config);
  void AddStack(std::span<const uint32_t> stack, Bits& bits);
  const StateMask& MaskOf(StateId state);
  /// Sets the tokens below `node` that can follow on `config`, which is the set at the node; lists
  /// the nodes that end at the bottom of the stacks. Returns config, renumbered if it had to be.
  ConfigId Walk(uint32_t node, ConfigId config, Bits& bits, std::vector<uint32_t>* exits);
  bool TooDeep(ConfigId config) const;
  void Trim(ConfigId* path, size_t count);

  const std::shared_ptr<const Program> program_;
  const std::shared_ptr<const TokenTrie> trie_;
  std::mutex mutex_;
  Machine machine_;
  uint64_t walked_ = 0;  // of the mask at hand
  std::unordered_map<StateId, StateMask> state_masks_;
  size_t state_mask_words_ = 0;
  std::vector<ConfigId> path_;

  struct Whole {
    uint64_t hash;
    FlatConfig config;
    std::shared_ptr<const Bits> bits;
  };
  std::list<Whole> whole_;  // used last comes first
  std::unordered_map<uint64_t, std::list<Whole>::iterator> whole_by_hash_;
};

}  // namespace tern::grammar
