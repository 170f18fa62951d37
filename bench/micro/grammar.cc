// What constrained decoding costs a token: masks along a document, with a vocabulary of 128k tokens
// (Llama 3's from $TERN_SHARED_DATA/formats-and-vocabs, or a made-up one). "cold" pays for every
// mask of its grammar, "warm" is what the next request with the same grammar pays.
#include "grammar/grammar.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "base/rng.h"
#include "model/tokenizer_source.h"
#include "tokenizer/tokenizer.h"

namespace tern {
namespace {

constexpr char kSchema[] = R"({"type": "object", "properties": {
  "name": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 150},
  "email": {"type": "string", "maxLength": 60}, "kind": {"enum": ["reader", "writer", "editor"]},
  "tags": {"type": "array", "items": {"type": "string"}},
  "address": {"type": "object", "properties": {"street": {"type": "string"},
    "city": {"type": "string"}, "zip": {"type": "string", "pattern": "^[0-9]{5}$"}},
    "required": ["street", "city"]},
  "scores": {"type": "array", "items": {"type": "number"}}},
  "required": ["name", "age", "kind"]})";

constexpr char kDocument[] = R"({
  "name": "Ada Lovelace, née Byron",
  "age": 36,
  "email": "ada.lovelace@analytical-engine.example",
  "kind": "writer",
  "tags": ["mathematics", "poetry of numbers", "first programs", "\"notes\" by the translator"],
  "address": {"street": "12 St James's Square, first floor", "city": "London", "zip": "12345"},
  "scores": [1, 0.25, -3.5e7, 100]
})";

/// Pieces of 1 to 12 bytes like those of a real vocabulary: letters, digits, blanks, punctuation.
std::vector<std::string> MadeUpPieces() {
  std::vector<std::string> pieces;
  for (int byte = 0; byte < 256; ++byte) pieces.emplace_back(1, static_cast<char>(byte));
  Rng rng(1);
  constexpr std::string_view kLetters = "etaoinsrhldcumfpgwybvkxjqzETAOIN";
  constexpr std::string_view kMarks = "\"{}[]:,.-_ \n0123456789\\/()";
  while (pieces.size() < 128000) {
    std::string piece;
    const uint64_t kind = rng.Next() % 8;
    if (kind < 4) piece = " ";
    for (uint64_t n = 1 + rng.Next() % (kind == 7 ? 4 : 10); n > 0; --n)
      piece += kind == 7 ? kMarks[rng.Next() % kMarks.size()]
                         : kLetters[(rng.Next() & rng.Next()) % kLetters.size()];
    pieces.push_back(piece);
  }
  return pieces;
}

const TokenTrie& Vocabulary(std::shared_ptr<const TokenTrie>* share = nullptr) {
  static const std::shared_ptr<const TokenTrie> trie = [] {
    const char* shared = std::getenv("TERN_SHARED_DATA");
    const std::string path = std::string(shared != nullptr ? shared : "build/shared-data") +
                             "/formats-and-vocabs/ggml-vocab-llama-bpe.gguf";
    if (auto spec = LoadTokenizerSpec(path, {}))
      if (auto tokenizer = Tokenizer::Create(std::move(*spec)))
        return TokenTrie::Create(**tokenizer);
    return TokenTrie::Create(MadeUpPieces(), {});
  }();
  if (share != nullptr) *share = trie;
  return *trie;
}

/// The document in tokens, always the longest that fits.
std::vector<TokenId> Tokens(std::string_view text) {
  const TokenTrie& vocabulary = Vocabulary();
  std::vector<TokenId> out;
  while (!text.empty()) {
    TokenId best = -1;
    size_t length = 0;
    for (size_t i = 0; i < vocabulary.vocab(); ++i) {
      const std::string_view piece = vocabulary.Piece(static_cast<TokenId>(i));
      if (piece.size() > length && text.starts_with(piece)) {
        best = static_cast<TokenId>(i);
        length = piece.size();
      }
    }
    out.push_back(best);
    text.remove_prefix(length);
  }
  return out;
}

/// Every 97th token, one by one, against the mask.
bool IsExact(const GrammarMatcher& matcher, uint64_t offset) {
  std::vector<uint64_t> bits;
  matcher.Allowed(bits);
  for (size_t id = offset % 97; id < Vocabulary().vocab(); id += 97)
    if ((bits[id / 64] >> (id % 64) & 1) != matcher.Allows(static_cast<TokenId>(id))) return false;
  return true;
}

/// Of this thread: a mask is computed by one, and other programs should not count.
double CpuMicroseconds() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
}

void Masks(benchmark::State& state, const char* schema, bool warm) {
  std::shared_ptr<const TokenTrie> trie;
  const size_t vocab = Vocabulary(&trie).vocab();
  static const std::vector<TokenId> tokens = Tokens(kDocument);
  std::vector<float> logits(vocab);
  const auto compile = [&] { return Grammar::FromJsonSchema(schema).value(); };
  auto grammar = compile();
  GrammarMatcher checked(grammar, trie);
  for (const TokenId id : tokens) {
    if (!IsExact(checked, static_cast<uint64_t>(id)))
      return state.SkipWithError("a mask differs from trying the tokens one by one");
    if (!checked.Accept(id)) return state.SkipWithError("the document is refused");
  }
  double total = 0, longest = 0, count = 0;
  for (auto _ : state) {
    state.PauseTiming();
    if (!warm) grammar = compile();
    GrammarMatcher matcher(grammar, trie);
    state.ResumeTiming();
    for (const TokenId id : tokens) {
      const double begin = CpuMicroseconds();
      benchmark::DoNotOptimize(matcher.Mask(logits));
      matcher.Accept(id);
      const double spent = CpuMicroseconds() - begin;
      total += spent;
      longest = std::max(longest, spent);
      ++count;
    }
  }
  state.counters["tokens"] = static_cast<double>(tokens.size());
  state.counters["mean_us"] = total / count;
  state.counters["max_us"] = longest;
}

void BuildTrie(benchmark::State& state) {
  std::vector<std::string> pieces(Vocabulary().vocab());
  for (size_t i = 0; i < pieces.size(); ++i)
    pieces[i] = Vocabulary().Piece(static_cast<TokenId>(i));
  for (auto _ : state) benchmark::DoNotOptimize(TokenTrie::Create(pieces, {}));
}

void CompileSchema(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(Grammar::FromJsonSchema(kSchema));
}

BENCHMARK_CAPTURE(Masks, schema_cold, kSchema, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Masks, schema_warm, kSchema, true)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Masks, object_cold, R"({"type": "object"})", false)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Masks, object_warm, R"({"type": "object"})", true)->Unit(benchmark::kMillisecond);
BENCHMARK(BuildTrie)->Unit(benchmark::kMillisecond);
BENCHMARK(CompileSchema)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tern
