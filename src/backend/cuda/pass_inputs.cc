#include "backend/cuda/pass_inputs.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace tern::cuda {
namespace {

// Rows of one sequence up to which each is a work item of its own: a run walks the sequence's past
// in one block, single rows share it out.
constexpr int64_t kFewRows = 8;
constexpr int64_t kLeastCapacity = 256;

}  // namespace

Status PassInputs::Load(DeviceContext& context, const PassInfo& pass, int run_rows) {
  const auto rows =
      static_cast<int64_t>(std::max({pass.tokens.size(), pass.step.positions.size(),
                                     pass.logit_rows.size(), pass.step.tables.size()}));
  size_t blocks = 0;
  for (const auto& table : pass.step.tables) blocks += table.size();
  // positions, sequences, tokens, logit rows, table begins, single rows: a part of capacity words
  // each; runs: two parts; then the tables.
  constexpr int64_t kParts = 8;
  int64_t capacity = std::max(capacity_, kLeastCapacity);
  while (capacity < rows) capacity *= 2;
  // Small passes stay small copies: the part of a pass is as long as its rows ask for.
  const int64_t part = rows <= kLeastCapacity ? kLeastCapacity : capacity;
  const size_t words = static_cast<size_t>(kParts * part) + blocks;
  const size_t wanted =
      static_cast<size_t>(kParts * capacity) + std::max<size_t>(blocks, size_t{1} << 14);
  TERN_TRY(context.Synchronize("the pass before"));  // its copy reads host_
  if (capacity > capacity_ || words > words_) {
    TERN_ASSIGN_OR_RETURN(device_, context.Allocate(wanted * sizeof(int32_t)));
    TERN_TRY(host_.Reserve(wanted * sizeof(int32_t)));
    capacity_ = capacity;
    words_ = wanted;
  }
  auto* host = reinterpret_cast<int32_t*>(host_.data());
  const auto* device = device_.as<int32_t>();
  const auto put = [&](int64_t index, std::span<const int32_t> values) {
    std::copy(values.begin(), values.end(), host + index * part);
    return device + index * part;
  };
  step_.positions = put(0, pass.step.positions);
  step_.sequences = put(1, pass.step.sequences);
  device_tokens_ = put(2, pass.tokens);
  device_logit_rows_ = put(3, pass.logit_rows);
  step_.table_begin = device + 4 * part;
  step_.single_rows = device + 5 * part;
  step_.runs = device + 6 * part;
  step_.tables = device + kParts * part;
  int32_t at = 0;
  for (size_t s = 0; s < pass.step.tables.size(); ++s) {
    host[4 * part + static_cast<int64_t>(s)] = at;
    const auto& table = pass.step.tables[s];
    std::copy(table.begin(), table.end(), host + kParts * part + at);
    at += static_cast<int32_t>(table.size());
  }

  singles_ = runs_ = single_positions_ = 0;
  const auto& positions = pass.step.positions;
  const auto& sequences = pass.step.sequences;
  std::vector<bool> seen(pass.step.tables.size());
  alone_ = true;
  for (size_t first = 0; first < positions.size();) {
    size_t end = first + 1;
    while (end < positions.size() && sequences[end] == sequences[first] &&
           positions[end] > positions[end - 1])
      ++end;
    const auto count = static_cast<int64_t>(end - first);
    const auto sequence = static_cast<size_t>(sequences[first]);
    alone_ = alone_ && count == 1 && !seen[sequence];
    seen[sequence] = true;
    for (size_t r = first; r < end && count <= kFewRows; ++r) {
      host[5 * part + singles_++] = static_cast<int32_t>(r);
      single_positions_ = std::max(single_positions_, positions[r] + 1);
    }
    for (size_t r = first; r < end && count > kFewRows; r += static_cast<size_t>(run_rows)) {
      host[6 * part + 2 * runs_] = static_cast<int32_t>(r);
      host[6 * part + 2 * runs_++ + 1] =
          static_cast<int32_t>(std::min<size_t>(end - r, static_cast<size_t>(run_rows)));
    }
    first = end;
  }
  TERN_TRY(ToStatus(cudaMemcpyAsync(device_.as<void>(), host, words * sizeof(int32_t),
                                    cudaMemcpyHostToDevice, context.stream()),
                    "inputs of a pass"));
  context.CountToDevice(words * sizeof(int32_t));
  tokens_ = pass.tokens;
  positions_ = pass.step.positions;
  logit_rows_ = pass.logit_rows;
  return {};
}

}  // namespace tern::cuda
