// What a model is, read from its metadata.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/result.h"
#include "formats/metadata.h"
#include "formats/weight_source.h"

namespace tern {

/// RoPE frequencies (docs/formats.md, "Metadata"): angle = position * frequency[i].
struct RopeConfig {
  enum class Scaling : uint8_t { kNone, kLinear, kYarn };
  double base = 10000;
  int64_t dims = 0;
  Scaling scaling = Scaling::kNone;
  double factor = 1;             // linear, YaRN
  int64_t original_context = 0;  // YaRN
  /// Optional rope_freqs.weight, (dims / 2): frequencies are divided by it.
  std::vector<float> frequency_factors = {};
};

struct ModelConfig {
  std::string architecture;  // canonical name
  std::string name;          // general.name, may be empty
  int64_t layers = 0;
  int64_t dim = 0;
  int64_t ffn = 0;
  int64_t vocab = 0;    // rows of the embedding
  int64_t context = 0;  // positions the model was made for
  HeadShape heads;
  float eps = 1e-5f;
  GateFunction gate = GateFunction::kSilu;
  RopeStyle rope_style = RopeStyle::kNeox;
  RopeConfig rope;
  bool sub_norms = false;   // attn_sub_norm and ffn_sub_norm exist
  bool head_norms = false;  // attn_q_norm and attn_k_norm exist
  ActivationType trained_with = ActivationType::kInt8;
};

/// One row of the architecture table: what the keys don't say. A new architecture is a file in
/// arch/ and a row in arch/architectures.cc.
struct Architecture {
  std::string_view name;   // general.architecture
  std::string_view alias;  // another spelling of it, or ""
  GateFunction gate;
  RopeStyle rope_style;
  bool sub_norms;
  bool head_norms;
  ActivationType trained_with;
  /// Reads what is particular to the family and refuses what only shares its name; may be null.
  Status (*refine)(const WeightSource& source, ModelConfig& config);
};

/// Errors: kUnsupported for an architecture tern doesn't know, listing those it does.
Result<const Architecture*> FindArchitecture(std::string_view name);
std::vector<std::string_view> ArchitectureNames();

/// Reads and checks general.architecture and the ARCH.* keys. Errors name the key, what was found
/// and expected.
Result<ModelConfig> ReadModelConfig(const WeightSource& source);

/// cos and sin of every position: (positions, dims), each row dims/2 cosines, then dims/2 sines.
/// Frequencies and angles are float32, as in transformers.
std::vector<float> RopeTable(const RopeConfig& rope, int64_t positions);

}  // namespace tern
