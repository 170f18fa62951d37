#include "kv/kv_cache.h"

namespace tern {

Result<KvCache> KvCache::Create(Backend& backend, const KvShape& shape) {
  KvCache cache;
  cache.shape_ = shape;
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    for (std::vector<Buffer>* side : {&cache.k_, &cache.v_}) {
      auto buffer = backend.Allocate(shape.side_bytes());
      if (!buffer)
        return Within(
            fmt::format("KV cache of {} positions ({} bytes)", shape.capacity, shape.bytes()),
            buffer.error());
      side->push_back(std::move(*buffer));
    }
  }
  return cache;
}

KvLayer KvCache::Layer(int64_t layer) const {
  const auto i = static_cast<size_t>(layer);
  return {shape_.type, k_[i].as<std::byte>(), v_[i].as<std::byte>(), shape_.stored()};
}

}  // namespace tern
