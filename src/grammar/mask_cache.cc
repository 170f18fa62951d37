#include "grammar/mask_cache.h"

#include <algorithm>

#include "grammar/limits.h"

namespace tern::grammar {

MaskCache::MaskCache(std::shared_ptr<const Program> program, std::shared_ptr<const TokenTrie> trie)
    : program_(std::move(program)), trie_(std::move(trie)), machine_(*program_) {
  path_.resize(trie_->trie().max_depth + 2);
}

void MaskCache::Start(FlatConfig& out) {
  const std::lock_guard lock(mutex_);
  machine_.Flatten(machine_.Start(), out);
}

/// The set behind the bytes, without the stacks that are too deep.
std::optional<ConfigId> MaskCache::Run(std::span<const uint32_t> config, std::string_view bytes) {
  if (machine_.Full()) machine_.Reset();
  ConfigId at = machine_.Intern(config);
  for (const char byte : bytes) {
    if (machine_.Full()) Trim(&at, 1);
    at = machine_.Step(at, static_cast<uint8_t>(byte));
    if (at == 0) return std::nullopt;
  }
  if (TooDeep(at)) return std::nullopt;
  return at;
}

bool MaskCache::Advance(FlatConfig& config, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  std::optional<ConfigId> to = Run(config, bytes);
  // Where readings had to be dropped, one that a mask followed alone may be among them.
  for (size_t at = 0; !to && at < config.size(); at += config[at] + 1)
    to = Run(std::span(config).subspan(at, config[at] + 1), bytes);
  if (!to) return false;
  machine_.Flatten(*to, config);
  // A set whose first stack is shallow enough may have others that are not.
  for (size_t at = 0; at < config.size();) {
    const size_t size = config[at] + 1;
    if (config[at] > kMaxStackDepth) {
      config.erase(config.begin() + static_cast<ptrdiff_t>(at),
                   config.begin() + static_cast<ptrdiff_t>(at + size));
    } else {
      at += size;
    }
  }
  return true;
}

bool MaskCache::Follows(const FlatConfig& config, std::string_view bytes) {
  FlatConfig copy = config;
  return Advance(copy, bytes);
}

bool MaskCache::TooDeep(ConfigId config) const {
  if (machine_.Accepts(config)) return false;
  const auto stacks = machine_.Stacks(config);
  return std::all_of(stacks.begin(), stacks.end(),
                     [this](NodeId node) { return machine_.Depth(node) > kMaxStackDepth; });
}

/// Empties the machine and gives the sets of a walk their new numbers.
void MaskCache::Trim(ConfigId* path, size_t count) {
  std::vector<FlatConfig> kept(count);
  for (size_t i = 0; i < count; ++i) machine_.Flatten(path[i], kept[i]);
  machine_.Reset();
  for (size_t i = 0; i < count; ++i) path[i] = machine_.Intern(kept[i]);
}

std::shared_ptr<const Bits> MaskCache::Mask(const FlatConfig& config) {
  uint64_t hash = config.size();
  for (const uint32_t value : config) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
  }
  const std::lock_guard lock(mutex_);
  if (const auto found = whole_by_hash_.find(hash); found != whole_by_hash_.end()) {
    if (found->second->config == config) {
      whole_.splice(whole_.begin(), whole_, found->second);
      return found->second->bits;
    }
    whole_.erase(found->second);  // another set of that hash: it gives way
    whole_by_hash_.erase(found);
  }
  std::shared_ptr<const Bits> bits = ComputeMask(config);
  whole_.push_front({hash, config, bits});
  whole_by_hash_[hash] = whole_.begin();
  if (whole_.size() > kMaxWholeMasks) {
    whole_by_hash_.erase(whole_.back().hash);
    whole_.pop_back();
  }
  return bits;
}

std::shared_ptr<const Bits> MaskCache::ComputeMask(const FlatConfig& config) {
  auto bits = std::make_shared<Bits>((trie_->vocab() + 63) / 64);
  walked_ = 0;
  for (size_t at = 0; at < config.size(); at += config[at] + 1)
    if (config[at] > 0) AddStack(std::span(config).subspan(at, config[at] + 1), *bits);
  return bits;
}

void MaskCache::AddStack(std::span<const uint32_t> stack, Bits& bits) {
  if (machine_.Full()) machine_.Reset();
  const uint32_t depth = stack[0];
  const uint64_t growth = uint64_t{trie_->trie().max_depth} * program_->calls_per_byte;
  if (depth + growth > kMaxStackDepth) {
    // The depth decides, and the masks per state don't know it.
    Walk(0, machine_.Intern(stack), bits, nullptr);
    return;
  }
  const StateMask& mask = MaskOf(stack[1]);
  for (const auto& [index, word] : mask.words) bits[index] |= word;
  if (depth == 1 || mask.exits.empty()) return;
  NodeId below = 0;
  for (size_t i = stack.size() - 1; i > 1; --i) below = machine_.Push(stack[i], below);
  ConfigId rest = machine_.Close(below);
  for (const uint32_t node : mask.exits) rest = Walk(node, rest, bits, nullptr);
}

const MaskCache::StateMask& MaskCache::MaskOf(StateId state) {
  if (const auto found = state_masks_.find(state); found != state_masks_.end())
    return found->second;
  if (state_mask_words_ > kMaxStateMaskWords) {
    state_masks_.clear();
    state_mask_words_ = 0;
  }
  StateMask mask;
  Bits bits((trie_->vocab() + 63) / 64);
  const uint32_t alone[] = {1, state};
  // What is walked for a state must not depend on what the mask at hand has walked before.
  const uint64_t walked = std::exchange(walked_, 0);
  Walk(0, machine_.Intern(alone), bits, &mask.exits);
  walked_ = walked;
  for (size_t i = 0; i < bits.size(); ++i)
    if (bits[i] != 0) mask.words.emplace_back(static_cast<uint32_t>(i), bits[i]);
  state_mask_words_ += mask.words.size() + mask.exits.size() / 4 + 8;
  return state_masks_.emplace(state, std::move(mask)).first->second;
}

ConfigId MaskCache::Walk(uint32_t node, ConfigId config, Bits& bits, std::vector<uint32_t>* exits) {
  const Trie& trie = trie_->trie();
  const size_t base = trie.depth[node];
  path_[0] = config;
  const uint32_t end = trie.end[node];
  for (uint32_t i = node + 1; i < end;) {
    const size_t depth = trie.depth[i] - base;
    if (machine_.Full()) Trim(path_.data(), depth);
    const ConfigId to = machine_.Step(path_[depth - 1], trie.byte[i]);
    if (to == 0) {
      i = trie.end[i];
      continue;
    }
    path_[depth] = to;
    walked_ += machine_.Stacks(to).size();
    if (walked_ > kMaxWalkWork) break;
    if (exits != nullptr && machine_.Accepts(to)) exits->push_back(i);
    const uint32_t last = trie.first_token[i + 1];
    if (trie.first_token[i] < last && (exits != nullptr || !TooDeep(to))) {
      for (uint32_t t = trie.first_token[i]; t < last; ++t) {
        const auto id = static_cast<size_t>(trie.tokens[t]);
        bits[id / 64] |= uint64_t{1} << (id % 64);
      }
    }
    ++i;
  }
  return path_[0];
}

}  // namespace tern::grammar
