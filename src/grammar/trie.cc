#include "grammar/trie.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "grammar/grammar.h"
#include "grammar/limits.h"
#include "tokenizer/tokenizer.h"

namespace tern {
namespace grammar {

bool Trie::IsEnd(TokenId id) const { return std::binary_search(ends.begin(), ends.end(), id); }

namespace {

std::unique_ptr<Trie> Build(std::span<const std::string> pieces, std::span<const TokenId> ends) {
  auto trie = std::make_unique<Trie>();
  trie->vocab = pieces.size();
  trie->ends.assign(ends.begin(), ends.end());
  std::erase_if(trie->ends,
                [&](TokenId id) { return id < 0 || static_cast<size_t>(id) >= pieces.size(); });
  std::sort(trie->ends.begin(), trie->ends.end());
  trie->piece_at.push_back(0);
  for (size_t i = 0; i < pieces.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (!trie->IsEnd(id) && pieces[i].size() <= kMaxTokenBytes) trie->bytes += pieces[i];
    trie->piece_at.push_back(static_cast<uint32_t>(trie->bytes.size()));
    if (!trie->Piece(id).empty()) trie->tokens.push_back(id);
  }
  std::sort(trie->tokens.begin(), trie->tokens.end(), [&](TokenId a, TokenId b) {
    return std::pair(trie->Piece(a), a) < std::pair(trie->Piece(b), b);
  });
  std::vector<uint32_t> path;  // nodes from the root down to the last one
  const auto open = [&](uint8_t byte, size_t token) {
    trie->byte.push_back(byte);
    trie->depth.push_back(static_cast<uint16_t>(path.size()));
    trie->end.push_back(0);
    trie->first_token.push_back(static_cast<uint32_t>(token));
    path.push_back(static_cast<uint32_t>(trie->byte.size() - 1));
  };
  const auto close = [&](size_t depth) {
    for (; path.size() > depth; path.pop_back())
      trie->end[path.back()] = static_cast<uint32_t>(trie->byte.size());
  };
  open(0, 0);
  std::string_view last;
  for (size_t i = 0; i < trie->tokens.size(); ++i) {
    const std::string_view piece = trie->Piece(trie->tokens[i]);
    const auto [at, end] = std::mismatch(last.begin(), last.end(), piece.begin(), piece.end());
    const auto shared = static_cast<size_t>(at - last.begin());
    close(shared + 1);
    // Tokens of equal bytes follow each other and end at the same node.
    for (size_t k = shared; k < piece.size(); ++k) open(static_cast<uint8_t>(piece[k]), i);
    trie->max_depth = std::max(trie->max_depth, static_cast<uint32_t>(piece.size()));
    last = piece;
  }
  close(0);
  trie->first_token.push_back(static_cast<uint32_t>(trie->tokens.size()));
  return trie;
}

}  // namespace
}  // namespace grammar

TokenTrie::TokenTrie(std::unique_ptr<const grammar::Trie> trie) : trie_(std::move(trie)) {}
TokenTrie::~TokenTrie() = default;

std::shared_ptr<const TokenTrie> TokenTrie::Create(std::span<const std::string> pieces,
                                                   std::span<const TokenId> ends) {
  return std::shared_ptr<const TokenTrie>(new TokenTrie(grammar::Build(pieces, ends)));
}

std::shared_ptr<const TokenTrie> TokenTrie::Create(const Tokenizer& tokenizer) {
  std::vector<std::string> pieces(tokenizer.size());
  std::vector<TokenId> ends;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    pieces[i] = tokenizer.Piece(id);
    if (tokenizer.IsEndOfGeneration(id)) ends.push_back(id);
  }
  return Create(pieces, ends);
}

size_t TokenTrie::vocab() const { return trie_->vocab; }
std::span<const TokenId> TokenTrie::ends() const { return trie_->ends; }
std::string_view TokenTrie::Piece(TokenId id) const { return trie_->Piece(id); }

}  // namespace tern
