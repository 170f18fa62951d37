// Attention of the CPU backend: cuts the work into tasks and calls the kernels.
#pragma once

#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/float_contract.h"
#include "platform/thread_pool.h"

namespace tern::cpu {

/// Thread rule: one caller at a time.
class Attention {
 public:
  Attention(const FloatOps& ops, ThreadPool& pool) : ops_(ops), pool_(pool) {}

  /// As Backend::Attention.
  void Run(FloatView q, const HeadShape& shape, const StepInfo& step, const KvLayer& kv,
           FloatView out);
  /// Keys and values of one row, 2 * kv_cols floats, to their position of a sequence.
  void Store(const float* kv_row, const HeadShape& shape, std::span<const BlockId> table,
             int64_t position, const KvLayer& kv) const;

 private:
  // Queries that share the keys and values they meet: heads [head, head + heads) of each of `rows`
  // rows of one sequence, at most 16 in all.
  struct Group {
    int64_t row, rows, head, heads;
    int64_t kv_head;
    int64_t positions;  // that the furthest row sees
    int64_t blocks;     // of kAttentionBlock, that hold them
  };
  struct Call;
  template <class T>
  struct Pieces;

  void MakeGroups(const Call& call);
  void AttendBlock(const Call& call, const Group& group, int64_t block, float* part) const;
  void RoundQueries(KvType type, const float* from, int64_t heads, int64_t dim, float* q,
                    float* steps) const;
  void StoreCodes(const float* x, int64_t dim, int64_t position, int64_t stride, int8_t* piece,
                  int64_t at) const;
  void Join(const Call& call, const Group& group, const float* parts) const;

  const FloatOps& ops_;
  ThreadPool& pool_;
  std::vector<Group> groups_;
  std::vector<float> parts_;  // blocks on their way to being joined
};

}  // namespace tern::cpu
