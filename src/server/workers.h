// Threads for what would hold up the HTTP thread: parsing, tokenisation, templates, grammars.
#pragma once

#include <functional>
#include <memory>

#include "server/http.h"

namespace tern {

/// Thread rule: any thread.
class Workers {
 public:
  explicit Workers(int threads);
  /// Waits for the jobs under way; the others never run.
  ~Workers();

  void Post(std::function<void()> job);

  /// The reply that `job` makes on one of the threads. Skipped when the client has left before its
  /// turn. What it throws becomes status 500.
  std::unique_ptr<HttpReply> Answer(std::function<std::unique_ptr<HttpReply>()> job);

 private:
  class Pool;
  std::unique_ptr<Pool> pool_;
};

}  // namespace tern
