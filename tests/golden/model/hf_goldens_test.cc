// Four small checkpoints against transformers' logits and greedy tokens (golden.json in each folder
// tells how they were made), from the folder and again after conversion to GGUF.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "engine/session.h"
#include "model/convert.h"
#include "registry/registry.h"
#include "support/shared_data.h"

namespace tern {
namespace {

struct Golden {
  std::vector<std::vector<TokenId>> prompts;
  std::vector<float> int8_logits, float_logits;  // rows of every prompt, one after another
};

std::vector<float> ReadFloats(const std::filesystem::path& path) {
  const std::string bytes = test::ReadFile(path);
  std::vector<float> out(bytes.size() / sizeof(float));
  std::memcpy(out.data(), bytes.data(), out.size() * sizeof(float));
  return out;
}

Golden ReadGolden(const std::filesystem::path& dir) {
  const auto json = nlohmann::json::parse(test::ReadFile(dir / "golden.json"));
  Golden golden;
  golden.prompts = json.at("prompts").get<std::vector<std::vector<TokenId>>>();
  golden.int8_logits = ReadFloats(dir / "logits.f32");
  golden.float_logits = ReadFloats(dir / "logits_float.f32");
  return golden;
}

Result<std::vector<float>> AllLogits(const std::string& model, std::string_view backend_name,
                                     ActivationType activations, const Golden& golden,
                                     std::optional<KvType> kv = {}) {
  TERN_ASSIGN_OR_RETURN(auto backend, CreateBackend(backend_name, {}));
  TERN_ASSIGN_OR_RETURN(auto session, Session::Open(std::move(backend), {.model = model,
                                                                         .need_tokenizer = false,
                                                                         .activations = activations,
                                                                         .kv = kv,
                                                                         .context = 512,
                                                                         .max_rows = 512,
                                                                         .logit_rows = 512}));
  std::vector<float> all;
  for (const auto& prompt : golden.prompts) {
    const std::vector<BlockId> table = IdentityTable(std::ssize(prompt));
    TERN_ASSIGN_OR_RETURN(
        const FloatView logits,
        session->decoder().Forward(SequenceRows(prompt, 0, table).WantingAll(), session->cache()));
    all.insert(all.end(), logits.data, logits.data + logits.rows * logits.cols);
  }
  return all;
}

struct Difference {
  double median, worst;
  size_t other_top;  // rows whose largest logit is another
  double kl;         // mean KL(want || got)
};

Difference Compare(std::span<const float> got, std::span<const float> want, size_t vocab) {
  std::vector<double> errors;
  Difference difference{0, 0, 0, 0};
  for (size_t at = 0; at < want.size(); at += vocab) {
    const auto g = got.subspan(at, vocab), w = want.subspan(at, vocab);
    double error = 0, norm = 0, g_sum = 0, w_sum = 0;
    for (size_t i = 0; i < vocab; ++i) {
      error += (double{g[i]} - w[i]) * (double{g[i]} - w[i]);
      norm += double{w[i]} * w[i];
      g_sum += std::exp(double{g[i]});
      w_sum += std::exp(double{w[i]});
    }
    for (size_t i = 0; i < vocab; ++i) {
      const double log_p = w[i] - std::log(w_sum), log_q = g[i] - std::log(g_sum);
      difference.kl += std::exp(log_p) * (log_p - log_q);
    }
    errors.push_back(std::sqrt(error / norm));
    const auto top = [](std::span<const float> row) {
      return std::max_element(row.begin(), row.end()) - row.begin();
    };
    difference.other_top += top(g) != top(w);
  }
  std::sort(errors.begin(), errors.end());
  difference.kl /= static_cast<double>(errors.size());
  difference.median = errors[errors.size() / 2];
  difference.worst = errors.back();
  return difference;
}

struct Subject {
  const char* backend;
  const char* checkpoint;
};
void PrintTo(const Subject& subject, std::ostream* out) {
  *out << subject.backend << ", " << subject.checkpoint;
}

class HfGoldens : public testing::TestWithParam<Subject> {
 protected:
  static constexpr size_t kVocab = 512;

  void SetUp() override {
    const auto there = CreateBackend(GetParam().backend, {});
    if (!there) GTEST_SKIP() << there.error().message;
  }
  bool on_gpu() const { return std::string_view(GetParam().backend) == "cuda"; }

  void Check(const std::string& model, const Golden& golden, bool trained_with_int8) {
    const std::string_view backend = GetParam().backend;
    const auto exact = AllLogits(model, backend, ActivationType::kFloat, golden);
    ASSERT_TRUE(exact) << exact.error().message;
    ASSERT_EQ(exact->size(), golden.float_logits.size());
    const Difference f = Compare(*exact, golden.float_logits, kVocab);
    EXPECT_LE(f.median, on_gpu() ? 1e-4 : 1e-5) << model;
    EXPECT_LE(f.worst, on_gpu() ? 1e-4 : 5e-5) << model;
    EXPECT_EQ(f.other_top, 0u) << model;

    const auto quantised = AllLogits(model, backend, ActivationType::kInt8, golden);
    ASSERT_TRUE(quantised) << quantised.error().message;
    const Difference q = Compare(*quantised, golden.int8_logits, kVocab);
    if (trained_with_int8) {
      EXPECT_LE(q.median, 3e-2) << model;
      EXPECT_LE(q.worst, 5e-2) << model;
    }
    // The reference backend is the specification: the same bits; from a GPU, those of other
    // roundings.
    for (const ActivationType type : {ActivationType::kFloat, ActivationType::kInt8}) {
      const auto reference = AllLogits(model, "reference", type, golden);
      ASSERT_TRUE(reference) << reference.error().message;
      const std::vector<float>& got = type == ActivationType::kFloat ? *exact : *quantised;
      if (on_gpu()) {
        const Difference r = Compare(got, *reference, kVocab);
        EXPECT_LE(r.worst, type == ActivationType::kFloat ? 1e-4 : 5e-2) << model;
        std::printf("to the reference backend: %.2e median %.2e worst\n", r.median, r.worst);
      } else {
        EXPECT_EQ(*reference, got) << model;
      }
    }
    const Difference to_float = Compare(*quantised, golden.float_logits, kVocab);
    std::printf(
        "%s: float %.2e median %.2e worst; int8 %.2e median %.2e worst; KL of int8 to float %.2e\n",
        std::filesystem::path(model).filename().c_str(), f.median, f.worst, q.median, q.worst,
        to_float.kl);
  }
};

TEST_P(HfGoldens, LogitsAgreeFromTheFolderAndFromGguf) {
  TERN_SHARED_OR_SKIP(dir, std::string("hf-goldens/") + GetParam().checkpoint);
  const Golden golden = ReadGolden(dir);
  const bool trained_with_int8 = std::string_view(GetParam().checkpoint) != "a-qwen3-g128";
  Check(dir.string(), golden, trained_with_int8);

  const auto gguf = std::filesystem::path(testing::TempDir()) /
                    (std::string(GetParam().checkpoint) + "." + GetParam().backend + ".gguf");
  const auto source = OpenWeights(dir.string(), {});
  ASSERT_TRUE(source) << source.error().message;
  const auto converted = Convert(**source, nullptr, {}, gguf.string(), {});
  ASSERT_TRUE(converted) << converted.error().message;
  Check(gguf.string(), golden, trained_with_int8);
  std::filesystem::remove(gguf);
}

// What int8 keys and values cost, beside halves, when all else is exact. The bounds guard what was
// measured: medians of 8e-3 to 1.4e-2, 2.4e-2 at worst (int8 activations cost 2.4e-2 to 3e-2).
TEST_P(HfGoldens, AnInt8CacheStaysNearOneOfHalves) {
  TERN_SHARED_OR_SKIP(dir, std::string("hf-goldens/") + GetParam().checkpoint);
  const Golden golden = ReadGolden(dir);
  const char* backend = GetParam().backend;
  const auto halves = AllLogits(dir, backend, ActivationType::kFloat, golden, KvType::kF16);
  const auto int8 = AllLogits(dir, backend, ActivationType::kFloat, golden, KvType::kInt8);
  ASSERT_TRUE(halves && int8);
  const Difference d = Compare(*int8, *halves, kVocab);
  std::printf("%s: int8 cache %.2e median %.2e worst, KL %.2e\n", GetParam().checkpoint, d.median,
              d.worst, d.kl);
  EXPECT_LE(d.median, 2e-2);
  EXPECT_LE(d.worst, 3.5e-2);
  if (on_gpu()) return;
  EXPECT_EQ(*AllLogits(dir, "reference", ActivationType::kFloat, golden, KvType::kInt8), *int8);
}

std::vector<Subject> Subjects(const char* backend) {
  return {{backend, "a-bitnet-packed"},
          {backend, "a-bitnet-master"},
          {backend, "a-llama-packed"},
          {backend, "a-qwen3-g128"}};
}
INSTANTIATE_TEST_SUITE_P(All, HfGoldens, testing::ValuesIn(Subjects("cpu")));
INSTANTIATE_TEST_SUITE_P(Gpu, HfGoldens, testing::ValuesIn(Subjects("cuda")));

}  // namespace
}  // namespace tern
