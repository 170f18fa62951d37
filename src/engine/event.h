// What an engine tells the reader of a request.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/generation.h"
#include "engine/logprobs.h"

namespace tern {

/// One step of one answer.
struct Event {
  int index = 0;                            // which of the answers
  std::string text = {};                    // whole characters; may be empty
  std::vector<TokenId> ids = {};            // of this step; may be ahead of the text
  std::vector<TokenEvent> logprobs = {};    // one for each id, when asked for
  std::optional<FinishReason> finish = {};  // the answer's last event
  std::string stop = {};                    // with kStopString: which one
  GenerationStats stats = {};               // of the answer so far
  std::optional<Error> error = {};          // instead of finish: the answer can't go on

  bool last() const { return finish || error; }
};

}  // namespace tern
