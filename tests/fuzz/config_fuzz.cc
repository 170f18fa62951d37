// The JSON files of a Hugging Face folder that describe its weights: config.json and the index of
// shards.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "formats/hf_config.h"
#include "formats/safetensors.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tern;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto config = ParseHfConfig(text, "config.json")) {
    Require(config->dim > 0 && config->layers > 0 && config->ffn > 0 && config->vocab > 0);
    Require(config->head_dim > 0 && config->heads % config->kv_heads == 0);
    const Metadata metadata = MetadataOf(*config, "bitnet", "fuzz");
    Require(metadata.Int("bitnet.block_count") && metadata.Float("bitnet.rope.freq_base"));
  } else {
    Require(config.error().message.find('\n') == std::string::npos);
  }
  if (const auto map = ParseShardIndex(text, "index.json"))
    for (const auto& [tensor, shard] : *map)
      Require(shard.find('/') == std::string::npos && shard != "..");
  return 0;
}
