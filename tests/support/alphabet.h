// A model that knows the alphabet: after letter c comes the next one, after z the end of text.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/reference/reference_backend.h"
#include "model/executor.h"
#include "tokenizer/tokenizer.h"

namespace tern::test {

inline constexpr int64_t kAlphabetVocab = 30;  // 28 tokens, and two rows of padding

inline std::unique_ptr<Tokenizer> AlphabetTokenizer() {
  TokenizerSpec spec;
  spec.pre = "gpt-2";
  spec.tokens = {"<|endoftext|>"};
  spec.types = {TokenType::kControl};
  for (char c = 'a'; c <= 'z'; ++c) spec.tokens.push_back(std::string(1, c));
  spec.tokens.push_back("-");
  spec.types.resize(spec.tokens.size(), TokenType::kNormal);
  spec.eos = 0;
  auto tokenizer = Tokenizer::Create(std::move(spec));
  EXPECT_TRUE(tokenizer) << tokenizer.error().message;
  return std::move(*tokenizer);
}

/// Padding rows have the largest logits of all. A hidden state is (token, position, 1).
class AlphabetExecutor final : public Executor {
 public:
  int64_t max_rows() const override { return 64; }

  Result<FloatView> Forward(const Batch& batch, KvCache&) override {
    if (before) before();
    if (fail.exchange(false)) return Fail(Code::kDevice, "the device is gone");
    const bool hidden = batch.output == BatchOutput::kHidden;
    const int64_t cols = hidden ? 3 : kAlphabetVocab;
    out_.clear();
    for (const int32_t row : batch.logit_rows) {
      const TokenId token = batch.tokens[static_cast<size_t>(row)];
      std::vector<float> values(static_cast<size_t>(cols), 0.0f);
      if (hidden) {
        values = {static_cast<float>(token),
                  static_cast<float>(batch.positions[static_cast<size_t>(row)]), 1.0f};
      } else {
        values[28] = values[29] = 100;
        values[static_cast<size_t>(token == 26 ? 0 : token + 1)] = 9;
      }
      out_.insert(out_.end(), values.begin(), values.end());
    }
    rows += std::ssize(batch.tokens);
    return FloatView(out_.data(), std::ssize(batch.logit_rows), cols);
  }

  std::function<void()> before = {};  // on the engine's thread; set before it starts
  std::atomic<bool> fail = false;     // the next pass
  std::atomic<int64_t> rows = 0;      // run so far

 private:
  std::vector<float> out_;
};

}  // namespace tern::test
