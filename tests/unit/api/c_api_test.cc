// The C API: what it adds to the C++ one, which is memory, codes and NULL. (Its everyday use is in
// examples/c.)
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tern/tern_c.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

namespace {

using testing::HasSubstr;

constexpr const char* kPath = TERN_SOURCE_DIR "/models/tern-stories.gguf";
constexpr const char* kPrompt = "Once upon a time";

class CApi : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    tern_load_options options;
    tern_load_options_init(&options);
    options.context = 256;
    ASSERT_EQ(tern_load(kPath, &options, &model_, nullptr), TERN_OK);
  }
  static void TearDownTestSuite() { tern_model_free(model_); }
  ~CApi() override { tern_free(error_); }

  std::string TakeError() {
    const std::string text = error_ == nullptr ? "" : error_;
    tern_free(error_);
    error_ = nullptr;
    return text;
  }

  static tern_model* model_;
  char* error_ = nullptr;
};

tern_model* CApi::model_ = nullptr;

tern_generate_options Short() {
  tern_generate_options options;
  tern_generate_options_init(&options);
  options.max_tokens = 12;
  options.seed = 1;
  return options;
}

TEST_F(CApi, AllFormsGiveTheSameText) {
  const tern_generate_options options = Short();
  tern_completion* whole = nullptr;
  ASSERT_EQ(tern_generate(model_, kPrompt, &options, nullptr, nullptr, &whole, &error_), TERN_OK);
  EXPECT_EQ(whole->id_count, 12u);
  EXPECT_EQ(whole->text_size, std::string(whole->text).size());
  EXPECT_STREQ(tern_finish_name(whole->finish), "length");

  tern_stream* stream = nullptr;
  ASSERT_EQ(tern_stream_open(model_, kPrompt, &options, &stream, &error_), TERN_OK);
  std::string pulled;
  size_t size = 0;
  while (const char* text = tern_stream_next(stream, &size)) pulled.append(text, size);
  EXPECT_EQ(pulled, whole->text);
  tern_completion* finished = nullptr;
  ASSERT_EQ(tern_stream_finish(stream, &finished, &error_), TERN_OK);
  EXPECT_STREQ(finished->text, whole->text);
  tern_completion_free(finished);
  tern_stream_cancel(stream);
  tern_stream_free(stream);

  std::string too_long;
  for (int i = 0; i < 400; ++i) too_long += " dog";
  const char* prompts[] = {kPrompt, too_long.c_str(), kPrompt};
  tern_completion* batch = nullptr;
  ASSERT_EQ(tern_batch(model_, prompts, 3, &options, &batch, &error_), TERN_OK);
  EXPECT_STREQ(batch[0].text, whole->text);
  EXPECT_EQ(batch[1].code, TERN_INVALID_ARGUMENT);
  EXPECT_THAT(batch[1].error, HasSubstr("256"));
  EXPECT_EQ(batch[2].code, TERN_OK);
  tern_completions_free(batch, 3);

  char* text = nullptr;
  ASSERT_EQ(tern_detokenize(model_, whole->ids, whole->id_count, 0, &text, nullptr, &error_),
            TERN_OK);
  EXPECT_STREQ(text, whole->text);
  tern_free(text);
  tern_completion_free(whole);
}

TEST_F(CApi, NAnswersAreAnArray) {
  tern_generate_options options = Short();
  tern_completion* answers = nullptr;
  ASSERT_EQ(tern_generate_n(model_, kPrompt, 2, &options, &answers, &error_), TERN_OK);
  ++options.seed;
  tern_completion* second = nullptr;
  ASSERT_EQ(tern_generate(model_, kPrompt, &options, nullptr, nullptr, &second, &error_), TERN_OK);
  EXPECT_STREQ(answers[1].text, second->text);
  EXPECT_STRNE(answers[0].text, second->text);
  tern_completion_free(second);
  tern_completions_free(answers, 2);

  const tern_message message = {"user", "Hi"};
  ASSERT_EQ(tern_chat_n(model_, &message, 1, 2, nullptr, &answers, &error_), TERN_OK);
  tern_completions_free(answers, 2);
  EXPECT_EQ(tern_generate_n(model_, kPrompt, 0, nullptr, &answers, &error_), TERN_INVALID_ARGUMENT);
  EXPECT_THAT(TakeError(), HasSubstr("n: found 0"));
}

TEST_F(CApi, ACallbackCanEndIt) {
  tern_generate_options options = Short();
  options.max_tokens = 1 << 20;
  options.ignore_eos = 1;
  int calls = 0;
  tern_completion* answer = nullptr;
  const tern_text_callback stop = [](const char*, size_t, void* user) {
    return ++*static_cast<int*>(user) == 2 ? 1 : 0;
  };
  ASSERT_EQ(tern_generate(model_, kPrompt, &options, stop, &calls, &answer, &error_), TERN_OK);
  EXPECT_EQ(answer->finish, TERN_FINISH_CANCELLED);
  EXPECT_EQ(calls, 2);
  tern_completion_free(answer);
}

TEST_F(CApi, AConversationAnEmbeddingAndStatistics) {
  const tern_generate_options options = Short();
  const tern_message messages[] = {{"user", kPrompt}};
  tern_completion* answer = nullptr;
  ASSERT_EQ(tern_chat(model_, messages, 1, &options, nullptr, nullptr, &answer, &error_), TERN_OK);
  EXPECT_EQ(answer->generated_tokens, 12);
  tern_completion_free(answer);
  const char* texts[] = {"The dog", "The cat"};
  std::vector<float> out(2 * static_cast<size_t>(tern_dim(model_)));
  ASSERT_EQ(tern_embed(model_, texts, 2, out.data(), &error_), TERN_OK) << TakeError();
  EXPECT_NE(out[0], 0.0f);
  int32_t* ids = nullptr;
  size_t count = 0;
  ASSERT_EQ(tern_tokenize(model_, "The dog", 0, 0, &ids, &count, &error_), TERN_OK);
  EXPECT_GT(count, 0u);
  tern_free(ids);
  tern_stats stats;
  stats.size = sizeof stats;
  tern_get_stats(model_, &stats);
  EXPECT_GT(stats.generated_tokens, 0u);
  EXPECT_EQ(tern_context(model_), 256);
}

TEST_F(CApi, MistakesAreCodesWithAText) {
  tern_model* none = nullptr;
  EXPECT_EQ(tern_load("no-such-file.gguf", nullptr, &none, &error_), TERN_NOT_FOUND);
  EXPECT_THAT(TakeError(), HasSubstr("no-such-file.gguf"));
  EXPECT_EQ(tern_load("no-such-file.gguf", nullptr, &none, nullptr), TERN_NOT_FOUND);
  EXPECT_EQ(tern_load(nullptr, nullptr, &none, &error_), TERN_INVALID_ARGUMENT);
  EXPECT_THAT(TakeError(), HasSubstr("NULL"));
  tern_load_options load = {};
  EXPECT_EQ(tern_load(kPath, &load, &none, &error_), TERN_INVALID_ARGUMENT);
  EXPECT_THAT(TakeError(), HasSubstr("tern_load_options_init"));
  tern_load_options_init(&load);
  const int unknown = 99;  // as C lets a caller do
  std::memcpy(&load.kv, &unknown, sizeof unknown);
  EXPECT_EQ(tern_load(kPath, &load, &none, &error_), TERN_INVALID_ARGUMENT);
  EXPECT_THAT(TakeError(), HasSubstr("kv: found 99"));
  EXPECT_EQ(none, nullptr);

  tern_completion* answer = nullptr;
  EXPECT_EQ(tern_generate(model_, nullptr, nullptr, nullptr, nullptr, &answer, &error_),
            TERN_INVALID_ARGUMENT);
  EXPECT_THAT(TakeError(), HasSubstr("prompt"));
  tern_generate_options options = Short();
  options.stop_count = 1;
  EXPECT_EQ(tern_generate(model_, kPrompt, &options, nullptr, nullptr, &answer, &error_),
            TERN_INVALID_ARGUMENT);
  EXPECT_THAT(TakeError(), HasSubstr("stop"));
  const tern_message broken[] = {{"user", nullptr}};
  EXPECT_EQ(tern_chat(model_, broken, 1, nullptr, nullptr, nullptr, &answer, &error_),
            TERN_INVALID_ARGUMENT);
  EXPECT_THAT(TakeError(), HasSubstr("messages[0]"));
  EXPECT_EQ(answer, nullptr);
  EXPECT_STREQ(tern_code_name(TERN_NOT_FOUND), "not found");
  tern_model_free(nullptr);
  tern_completion_free(nullptr);
  tern_stream_free(nullptr);
}

// An older program's struct ends sooner: what it lacks has its default.
TEST_F(CApi, OptionsOfAnOlderVersionAreUnderstood) {
  tern_generate_options options = Short();
  options.size = offsetof(tern_generate_options, temperature);
  options.temperature = -5;
  tern_completion* answer = nullptr;
  ASSERT_EQ(tern_generate(model_, kPrompt, &options, nullptr, nullptr, &answer, &error_), TERN_OK)
      << TakeError();
  EXPECT_EQ(answer->generated_tokens, 12);
  tern_completion_free(answer);
}

}  // namespace
