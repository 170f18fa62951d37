#include "kv/kv_cache.h"

#include <numeric>

namespace tern {
namespace {

constexpr size_t kAlignment = 256;  // of a layer's keys and values, for any kernel's loads

}  // namespace

Result<KvCache> KvCache::Create(Backend& backend, const KvShape& shape) {
  if (shape.type == KvType::kInt8 && shape.head_dim > kMaxInt8HeadDim)
    return Fail(Code::kUnsupported, "an int8 KV cache of {} elements a head, expected at most {}",
                shape.head_dim, kMaxInt8HeadDim);
  KvCache cache;
  cache.backend_ = &backend;
  cache.shape_ = shape;
  const size_t side = static_cast<size_t>(shape.blocks) * shape.block_bytes();
  cache.side_bytes_ = (side + kAlignment - 1) / kAlignment * kAlignment;
  auto memory = backend.Allocate(2 * static_cast<size_t>(shape.layers) * cache.side_bytes_);
  if (!memory)
    return Within(
        fmt::format("KV cache of {} positions ({} bytes)", shape.positions(), shape.bytes()),
        memory.error());
  cache.memory_ = std::move(*memory);
  return cache;
}

KvLayer KvCache::Layer(int64_t layer) const {
  std::byte* const k = memory_.as<std::byte>() + 2 * static_cast<size_t>(layer) * side_bytes_;
  return {shape_.type, k, k + side_bytes_};
}

StridedBytes KvCache::Block(BlockId block) const {
  const size_t bytes = shape_.block_bytes();
  return {memory_.as<std::byte>() + static_cast<size_t>(block) * bytes, bytes, 2 * shape_.layers,
          side_bytes_};
}

Status KvCache::CopyBlock(BlockId from, BlockId to) {
  for (const BlockId block : {from, to})
    if (block < 0 || block >= shape_.blocks)
      return Fail(Code::kInvalidArgument, "block {} of a KV cache of {}", block, shape_.blocks);
  if (from == to) return {};
  const StridedBytes source = Block(from), target = Block(to);
  for (size_t i = 0; i < 2 * static_cast<size_t>(shape_.layers); ++i)
    backend_->Copy(source.data + i * side_bytes_, source.row_bytes, target.data + i * side_bytes_);
  return {};
}

std::vector<BlockId> IdentityTable(int64_t positions, BlockId first) {
  std::vector<BlockId> table(static_cast<size_t>(BlocksFor(positions)));
  std::iota(table.begin(), table.end(), first);
  return table;
}

}  // namespace tern
