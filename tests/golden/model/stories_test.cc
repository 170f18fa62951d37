// The built-in model against transformers' BitNetForCausalLM in float32 on the Hugging Face folder
// that it was converted from (tests/data/stories/golden.json: 8 rows of logits of a 64-token
// prompt, and greedy continuations).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "engine/session.h"
#include "registry/registry.h"
#include "support/shared_data.h"

namespace tern {
namespace {

constexpr size_t kVocab = 4096;

std::filesystem::path Data(std::string_view name) {
  return std::filesystem::path(TERN_TEST_DATA) / "stories" / name;
}

std::vector<float> ReadFloats(std::string_view name) {
  const std::string bytes = test::ReadFile(Data(name));
  std::vector<float> out(bytes.size() / sizeof(float));
  std::memcpy(out.data(), bytes.data(), out.size() * sizeof(float));
  return out;
}

nlohmann::json Golden() { return nlohmann::json::parse(test::ReadFile(Data("golden.json"))); }

std::unique_ptr<Session> Open(const char* backend, ActivationType activations, int threads) {
  auto made = CreateBackend(backend, {.threads = threads});
  EXPECT_TRUE(made) << made.error().message;
  auto session =
      Session::Open(std::move(*made), {.model = TERN_SOURCE_DIR "/models/tern-stories.gguf",
                                       .activations = activations,
                                       .logit_rows = 64});
  EXPECT_TRUE(session) << session.error().message;
  return std::move(*session);
}

// Relative L2 error of each golden row, sorted.
std::vector<double> Errors(const char* backend, ActivationType activations, std::string_view file) {
  const auto golden = Golden();
  const auto ids = golden.at("logits_prompt").get<std::vector<TokenId>>();
  const auto rows = golden.at("logits_rows").get<std::vector<int32_t>>();
  const auto session = Open(backend, activations, 2);
  const std::vector<BlockId> table = IdentityTable(std::ssize(ids));
  const auto logits =
      session->decoder().Forward(SequenceRows(ids, 0, table).Wanting(rows), session->cache());
  EXPECT_TRUE(logits);
  const std::vector<float> want = ReadFloats(file);
  EXPECT_EQ(want.size(), rows.size() * kVocab);
  std::vector<double> errors;
  for (size_t r = 0; r < rows.size(); ++r) {
    double error = 0, norm = 0;
    for (size_t i = 0; i < kVocab; ++i) {
      const double w = want[r * kVocab + i], g = logits->Row(static_cast<int64_t>(r))[i];
      error += (g - w) * (g - w);
      norm += w * w;
    }
    errors.push_back(std::sqrt(error / norm));
  }
  std::sort(errors.begin(), errors.end());
  return errors;
}

class Stories : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const auto there = CreateBackend(GetParam(), {});
    if (!there) GTEST_SKIP() << there.error().message;
  }
};

TEST_P(Stories, FloatLogitsAreTransformers) {
  const auto errors = Errors(GetParam(), ActivationType::kFloat, "logits_float.f32");
  EXPECT_LE(errors.back(), std::string_view(GetParam()) == "cuda" ? 1e-4 : 1e-5);
}

TEST_P(Stories, Int8LogitsAreWithinTheNoiseOfRounding) {
  const auto errors = Errors(GetParam(), ActivationType::kInt8, "logits_int8.f32");
  EXPECT_LE(errors[errors.size() / 2], 3e-2);
  EXPECT_LE(errors.back(), 5e-2);
}

// Where transformers' best token leads by little, another correct implementation may take the
// second.
TEST_P(Stories, GreedyTextIsTransformersUpToTies) {
  constexpr double kTie = 0.1;
  const auto golden = Golden();
  const auto session = Open(GetParam(), ActivationType::kInt8, 2);
  Generator generator = session->NewGenerator();
  for (size_t p = 0; p < golden.at("prompts").size(); ++p) {
    const auto prompt = golden["prompts"][p].get<std::vector<TokenId>>();
    const auto want = golden["greedy"][p].get<std::vector<TokenId>>();
    const auto lead = golden["greedy_lead"][p].get<std::vector<double>>();
    GenerationOptions options;
    options.max_tokens = std::ssize(want);
    options.sampling.temperature = 0;
    options.ignore_eos = true;
    const auto got = generator.Generate(prompt, options, {});
    ASSERT_TRUE(got) << got.error().message;
    for (size_t i = 0; i < want.size(); ++i) {
      if (got->ids[i] == want[i]) continue;
      EXPECT_LT(lead[i], kTie) << "prompt " << p << ", token " << i;
      break;  // the texts part here
    }
  }
}

TEST_P(Stories, TextDoesNotDependOnTheNumberOfThreads) {
  std::vector<std::string> texts;
  for (const int threads : {1, 2, 3, 5}) {
    const auto session = Open(GetParam(), ActivationType::kInt8, threads);
    GenerationOptions options;
    options.max_tokens = 60;
    options.sampling.seed = 42;
    const auto prompt = session->tokenizer()->Encode("Once upon a time", {.add_bos = true});
    const auto result = session->NewGenerator().Generate(prompt, options, {});
    ASSERT_TRUE(result);
    texts.push_back(result->text);
  }
  for (const std::string& text : texts) EXPECT_EQ(text, texts.front());
  EXPECT_GT(texts.front().size(), 60u);
}

INSTANTIATE_TEST_SUITE_P(All, Stories, testing::Values("cpu"));
INSTANTIATE_TEST_SUITE_P(Gpu, Stories, testing::Values("cuda"));

}  // namespace
}  // namespace tern
