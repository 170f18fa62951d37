// The endpoints that need the model. Everything here runs on worker threads.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "engine/engine.h"
#include "server/answer.h"
#include "server/http.h"
#include "tokenizer/chat_template.h"

namespace tern {

struct ModelServiceOptions {
  std::string model;       // the name that clients see
  std::string build = {};  // version of the program, for /props
  int64_t slots = 32;      // answers at once
  /// From a request's arrival to its answer's end; then the answer is cut.
  std::chrono::seconds time_limit = std::chrono::minutes(10);
};

/// Thread rule: any thread.
class ModelService {
 public:
  /// engine must outlive the object and every reply.
  ModelService(Engine& engine, ModelServiceOptions options);

  std::unique_ptr<HttpReply> Complete(Endpoint endpoint, std::string_view body);
  /// Waits for the engine.
  std::unique_ptr<HttpReply> Embed(std::string_view body);
  std::unique_ptr<HttpReply> Tokenize(std::string_view body);
  std::unique_ptr<HttpReply> Detokenize(std::string_view body);
  std::unique_ptr<HttpReply> ApplyTemplate(std::string_view body);
  /// JSON: OpenAI's list; llama-server's /props.
  std::string Models() const;
  std::string Props() const;
  const std::string& model() const { return options_.model; }

 private:
  ApiResult<std::unique_ptr<HttpReply>> Generate(Endpoint endpoint, std::string_view body);
  ApiResult<std::vector<std::vector<TokenId>>> Prompts(const ApiRequest& request) const;
  ApiStatus CheckIds(std::span<const TokenId> ids, const std::string& field) const;
  ApiStatus CheckLength(size_t tokens, const char* field) const;
  AnswerHead NewHead(Endpoint endpoint);

  Engine& engine_;
  const ModelServiceOptions options_;
  const int64_t created_;
  const ChatTemplate template_;
  const std::string id_prefix_;  // differs from process to process
  std::atomic<uint64_t> next_id_ = 0;
};

}  // namespace tern
