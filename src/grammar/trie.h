// The tokens of a vocabulary as a tree of bytes, laid out in the order of a walk through it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace tern::grammar {

/// Nodes in depth-first order; node 0 is the root. The subtree of node i is i .. end[i]-1.
struct Trie {
  std::vector<uint8_t> byte;          // that leads to a node
  std::vector<uint16_t> depth;        // bytes from the root
  std::vector<uint32_t> end;          // first node behind the subtree
  std::vector<uint32_t> first_token;  // (nodes + 1) into tokens: those that end at the node
  std::vector<TokenId> tokens;
  uint32_t max_depth = 0;

  size_t vocab = 0;
  std::vector<TokenId> ends;       // sorted
  std::string bytes;               // all pieces
  std::vector<uint32_t> piece_at;  // (vocab + 1) into bytes

  std::string_view Piece(TokenId id) const {
    if (id < 0 || static_cast<size_t>(id) >= vocab) return {};
    const auto i = static_cast<size_t>(id);
    return std::string_view(bytes).substr(piece_at[i], piece_at[i + 1] - piece_at[i]);
  }
  bool IsEnd(TokenId id) const;
};

}  // namespace tern::grammar
