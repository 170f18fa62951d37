// What a tern::v1::Model is inside: an engine, and what the public API needs beside it.
#pragma once

#include <tern/tern.h>

#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "api/background.h"
#include "api/ticket.h"
#include "engine/engine.h"
#include "tokenizer/chat_format.h"

namespace tern {

/// Thread rule: any thread.
class LiveModel {
 public:
  static Result<std::shared_ptr<LiveModel>> Load(const std::string& path,
                                                 const v1::LoadOptions& options);
  ~LiveModel();

  const v1::ModelInfo& info() const { return info_; }
  Engine& engine() { return *engine_; }
  Background& background() { return background_; }

  /// The ids that a request with this prompt begins with.
  Result<std::vector<TokenId>> Encode(const v1::Prompt& prompt) const;
  /// whole: nobody looks at the answer before its end. n: answers.
  Result<std::unique_ptr<Ticket>> Submit(const v1::Prompt& prompt,
                                         const v1::GenerateOptions& options, bool whole, int n = 1);
  /// Reads to the end. on_text may be empty.
  v1::Result<v1::Completion> Generate(const v1::Prompt& prompt, const v1::GenerateOptions& options,
                                      const v1::TextCallback& on_text);
  v1::Result<std::vector<v1::Completion>> GenerateN(const v1::Prompt& prompt, int n,
                                                    const v1::GenerateOptions& options);
  std::vector<v1::Result<v1::Completion>> Batch(std::span<const v1::Request> requests,
                                                const v1::BatchCallback& on_done);
  Result<std::vector<std::vector<float>>> Embed(std::span<const std::string> texts);
  void CancelAll();

 private:
  LiveModel(std::unique_ptr<Engine> engine, size_t window);

  const std::unique_ptr<Engine> engine_;
  const size_t window_;  // requests of a batch that are under way at once
  const ChatFamily family_;
  v1::ModelInfo info_;
  std::mutex mutex_;
  std::stop_source cancel_all_;  // replaced by each CancelAll
  Background background_;        // gone before the engine is
};

}  // namespace tern
