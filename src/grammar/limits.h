// Bounds of what a grammar may cost: grammars come from the network.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tern::grammar {

// The source.
inline constexpr size_t kMaxSourceBytes = 256 * 1024;
inline constexpr int kMaxNesting = 64;          // groups, schemas in schemas, JSON
inline constexpr size_t kMaxRules = 20000;      // names
inline constexpr size_t kMaxExprs = 400000;     // nodes of the syntax tree
inline constexpr uint32_t kMaxRepeat = 20000;   // numbers in {m,n}
inline constexpr int kMaxRepeatsOfOne = 4;      // a*?+...
inline constexpr size_t kMaxMembers = 2000;     // keys of one JSON object of a schema
inline constexpr size_t kMaxValueBytes = 4096;  // one enum value, const, or property name

// The automata.
inline constexpr uint32_t kInlineNodes = 96;      // rules without loops up to this size are inlined
inline constexpr size_t kMaxNodes = 1'000'000;    // states before determinisation
inline constexpr size_t kMaxStates = 200000;      // after it
inline constexpr size_t kMaxCells = 8'000'000;    // states times byte classes
inline constexpr uint64_t kMaxWork = 20'000'000;  // elementary steps of a compilation

// Matching.
inline constexpr size_t kMaxStacks = 128;           // readings of a text that are followed
inline constexpr uint32_t kMaxStackDepth = 1024;    // calls that wait for their return
inline constexpr size_t kMaxTokenBytes = 1024;      // longer tokens never match
inline constexpr uint64_t kMaxWalkWork = 20000000;  // a mask: trie nodes times stacks
inline constexpr size_t kMaxMachineItems = 2'000'000;
inline constexpr size_t kMaxStateMaskWords = 2'000'000;  // 32 MB of masks per state
inline constexpr size_t kMaxWholeMasks = 128;  // masks of whole stack sets, 16 KB each at 128k

}  // namespace tern::grammar
