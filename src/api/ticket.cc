#include "api/ticket.h"

#include "api/convert.h"

namespace tern {

v1::Chunk Collector::Add(Event event) {
  v1::Chunk chunk{.text = std::move(event.text), .ids = std::move(event.ids), .logprobs = {}};
  for (const TokenEvent& token : event.logprobs) chunk.logprobs.push_back(ToPublic(token));
  completion_.text += chunk.text;
  completion_.ids.insert(completion_.ids.end(), chunk.ids.begin(), chunk.ids.end());
  completion_.logprobs.insert(completion_.logprobs.end(), chunk.logprobs.begin(),
                              chunk.logprobs.end());
  if (event.finish) {
    ended_ = true;
    completion_.finish = ToPublic(*event.finish);
    completion_.usage = ToPublic(event.stats);
  } else if (event.error) {
    ended_ = true;
    error_ = std::move(event.error);
  }
  return chunk;
}

v1::Result<v1::Completion> Collector::Answer() const {
  if (!ended_) return v1::Error{v1::ErrorCode::kInternal, "the answer has no end"};
  if (error_) return ToPublic(*error_);
  return completion_;
}

}  // namespace tern
