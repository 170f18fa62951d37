#include "kv/kv_cache.h"

#include <numeric>

namespace tern {

Result<KvCache> KvCache::Create(Backend& backend, const KvShape& shape) {
  if (shape.type == KvType::kInt8 && shape.head_dim > kMaxInt8HeadDim)
    return Fail(Code::kUnsupported, "an int8 KV cache of {} elements a head, expected at most {}",
                shape.head_dim, kMaxInt8HeadDim);
  KvCache cache;
  cache.backend_ = &backend;
  cache.shape_ = shape;
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    for (std::vector<Buffer>* side : {&cache.k_, &cache.v_}) {
      auto buffer = backend.Allocate(static_cast<size_t>(shape.blocks) * shape.block_bytes());
      if (!buffer)
        return Within(
            fmt::format("KV cache of {} positions ({} bytes)", shape.positions(), shape.bytes()),
            buffer.error());
      side->push_back(std::move(*buffer));
    }
  }
  return cache;
}

KvLayer KvCache::Layer(int64_t layer) const {
  const auto i = static_cast<size_t>(layer);
  return {shape_.type, k_[i].as<std::byte>(), v_[i].as<std::byte>()};
}

Status KvCache::CopyBlock(BlockId from, BlockId to) {
  for (const BlockId block : {from, to})
    if (block < 0 || block >= shape_.blocks)
      return Fail(Code::kInvalidArgument, "block {} of a KV cache of {}", block, shape_.blocks);
  if (from == to) return {};
  const size_t bytes = shape_.block_bytes();
  for (const std::vector<Buffer>* side : {&k_, &v_})
    for (const Buffer& buffer : *side) {
      std::byte* data = buffer.as<std::byte>();
      backend_->Copy(data + static_cast<size_t>(from) * bytes, bytes,
                     data + static_cast<size_t>(to) * bytes);
    }
  return {};
}

std::vector<BlockId> IdentityTable(int64_t positions, BlockId first) {
  std::vector<BlockId> table(static_cast<size_t>(BlocksFor(positions)));
  std::iota(table.begin(), table.end(), first);
  return table;
}

}  // namespace tern
