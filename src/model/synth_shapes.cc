#include <algorithm>
#include <array>

#include "model/synth.h"

namespace tern {
namespace {

// 125m, 350m: BitNet (Wang et al., 2023), table 1, with a gated feed-forward of 8/3 the width,
// rounded up to 256. 700m, 3b: 1bitLLM/bitnet_b1_58-large and -3B. 2b4t:
// microsoft/bitnet-b1.58-2B-4T. 8b: HF1BitLLM/Llama3-8B-1.58. 13b, 30b: The Era of 1-bit LLMs (Ma
// et al., 2024), in the shapes of LLaMA.
constexpr std::array<SynthShape, 8> kPresets = {{
    {"125m", "bitnet", 12, 768, 2048, 12, 12, 32000, 2048, 1e4, true},
    {"350m", "bitnet", 24, 1024, 2816, 16, 16, 32000, 2048, 1e4, true},
    {"700m", "bitnet", 24, 1536, 4096, 16, 16, 32002, 2048, 1e4, true},
    {"2b4t", "bitnet-b1.58", 30, 2560, 6912, 20, 5, 128256, 4096, 5e5, true},
    {"3b", "bitnet", 26, 3200, 8640, 32, 32, 32002, 2048, 1e4, true},
    {"8b", "llama", 32, 4096, 14336, 32, 8, 128256, 8192, 5e5, false},
    {"13b", "bitnet", 40, 5120, 13824, 40, 40, 32000, 2048, 1e4, true},
    {"30b", "bitnet", 60, 6656, 17920, 52, 52, 32000, 2048, 1e4, true},
}};

}  // namespace

std::span<const SynthShape> SynthPresets() { return kPresets; }

const SynthShape* FindSynthPreset(std::string_view name) {
  const auto found = std::find_if(kPresets.begin(), kPresets.end(),
                                  [name](const SynthShape& s) { return s.preset == name; });
  return found == kPresets.end() ? nullptr : &*found;
}

}  // namespace tern
