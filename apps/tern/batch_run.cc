#include "batch_run.h"

#include <algorithm>

#include "human.h"
#include "interrupt.h"

namespace tern::cli {
namespace {

constexpr auto kPatience = std::chrono::milliseconds(100);  // between looks at Ctrl-C

/// Errors that say something about the line; others are about the machine.
bool IsAboutTheLine(Code code) {
  return code == Code::kInvalidArgument || code == Code::kUnsupported || code == Code::kCorrupt;
}

BatchResult FailedWith(const Error& error) {
  BatchResult result;
  result.error = error;
  return result;
}

}  // namespace

BatchRun::BatchRun(Engine& engine, PromptFile& prompts, ResultFile& results,
                   const BatchOptions& options, int64_t total)
    : engine_(engine),
      prompts_(prompts),
      results_(results),
      options_(options),
      family_(DetectChatFamily(engine.tokenizer(), engine.model().config.architecture)) {
  counts_.total = total;
  counts_.before = static_cast<int64_t>(results.size());
}

Status BatchRun::Run() {
  for (;;) {
    for (bool more = true; more && !Interrupted();) {
      TERN_ASSIGN_OR_RETURN(more, TakeUp());
    }
    if (Interrupted()) return Fail(Code::kCancelled, "interrupted");
    if (at_end_ && flights_.empty()) break;
    const auto ended = gather_.Next(kPatience);
    if (ended) {
      TERN_ASSIGN_OR_RETURN(BatchResult result, ToResult(ended->result));
      TERN_TRY(Land(static_cast<int64_t>(ended->key), std::move(result)));
    }
    ShowProgress();
  }
  progress_.Finish();
  return results_.Sync();
}

Result<bool> BatchRun::TakeUp() {
  if (at_end_ || flights_.size() >= 2 * options_.workers || gather_.size() >= options_.workers)
    return false;
  auto item = std::exchange(refused_, std::nullopt);
  if (!item) item = prompts_.Next();
  if (!item) {
    at_end_ = true;
    return false;
  }
  if (results_.Has(*item)) return true;
  const int64_t index = item->index;
  if (item->error) {
    const BatchResult failed = FailedWith(*item->error);
    flights_[index].item = std::move(*item);
    TERN_TRY(Land(index, failed));
    return true;
  }
  auto ticket = Submit(*item);
  if (!ticket && ticket.error().code == Code::kResourceExhausted && gather_.size() > 0) {
    refused_ = std::move(item);
    return false;
  }
  flights_[index].item = std::move(*item);
  if (ticket) {
    gather_.Add(static_cast<size_t>(index), std::move(*ticket));
  } else {
    if (!IsAboutTheLine(ticket.error().code)) return tl::unexpected(ticket.error());
    TERN_TRY(Land(index, FailedWith(ticket.error())));
  }
  return true;
}

Result<std::unique_ptr<Ticket>> BatchRun::Submit(const BatchItem& item) {
  const Tokenizer& tokenizer = engine_.tokenizer();
  Request request;
  if (item.messages.empty() && !options_.chat) {
    request.prompt = tokenizer.Encode(item.prompt, {.add_bos = tokenizer.spec().add_bos});
  } else {
    std::vector<ChatMessage> messages = item.messages;
    if (messages.empty()) messages.push_back({"user", item.prompt});
    TERN_ASSIGN_OR_RETURN(const auto rendered, RenderChat(family_, tokenizer, messages, {}));
    request.prompt = EncodeChat(tokenizer, rendered);
  }
  request.options = item.options;
  TERN_ASSIGN_OR_RETURN(RequestHandle handle, engine_.Submit(std::move(request)));
  return std::make_unique<Ticket>(std::move(handle), std::stop_token(), std::stop_token());
}

Result<BatchResult> BatchRun::ToResult(const v1::Result<v1::Completion>& completion) const {
  if (!completion) {
    const Error error{static_cast<Code>(completion.error().code), completion.error().message};
    if (!IsAboutTheLine(error.code)) return tl::unexpected(error);
    return FailedWith(error);
  }
  BatchResult result;
  result.text = completion->text;
  result.finish = v1::FinishReasonName(completion->finish);
  result.prompt_tokens = completion->usage.prompt_tokens;
  result.generated_tokens = completion->usage.generated_tokens;
  return result;
}

Status BatchRun::Land(int64_t index, BatchResult result) {
  flights_.at(index).result = std::move(result);
  if (!options_.ordered) {
    TERN_TRY(Write(flights_.at(index)));
    flights_.erase(index);
    return {};
  }
  while (!flights_.empty() && flights_.begin()->second.result) {
    TERN_TRY(Write(flights_.begin()->second));
    flights_.erase(flights_.begin());
  }
  return {};
}

Status BatchRun::Write(const Flight& flight) {
  TERN_TRY(results_.Append(flight.item, *flight.result));
  ++counts_.answered;
  counts_.errors += flight.result->error ? 1 : 0;
  return {};
}

void BatchRun::ShowProgress() {
  const std::chrono::duration<double> time = Clock::now() - start_;
  std::string detail;
  if (const auto tokens = static_cast<double>(engine_.Stats().generated_tokens); tokens > 0)
    detail = fmt::format("{:.1f} tokens/s", tokens / time.count());
  const int64_t done = counts_.before + counts_.answered;
  if (counts_.answered > 0)
    detail +=
        fmt::format(", {} left", HumanTime(time.count() / static_cast<double>(counts_.answered) *
                                           static_cast<double>(counts_.total - done)));
  progress_.Update(done, counts_.total, detail);
}

}  // namespace tern::cli
