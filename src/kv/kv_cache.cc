#include "kv/kv_cache.h"

namespace tern {

Result<KvCache> KvCache::Create(Backend& backend, const KvShape& shape) {
  KvCache cache;
  cache.shape_ = shape;
  const auto floats = static_cast<size_t>(shape.slots * shape.capacity * shape.kv_cols);
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    for (std::vector<Buffer>* side : {&cache.k_, &cache.v_}) {
      auto buffer = backend.Allocate(floats * sizeof(float));
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
  return {k_[i].as<float>(), v_[i].as<float>(), shape_.capacity};
}

}  // namespace tern
