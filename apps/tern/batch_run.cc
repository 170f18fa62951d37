#include "batch_run.h"

#include "human.h"
#include "interrupt.h"

namespace tern::cli {
namespace {

/// Errors that say something about the line; others are about the machine.
bool IsAboutTheLine(Code code) {
  return code == Code::kInvalidArgument || code == Code::kUnsupported || code == Code::kCorrupt;
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
  const Status ran =
      RunStreaming([this](Request request) { return engine_.Submit(std::move(request)); },
                   options_.streaming, [this] { return NextRequest(); },
                   {.on_piece = [this](const StreamPiece&) { return GoesOn(); },
                    .on_result = [this](StreamResult result) { return Take(std::move(result)); }});
  progress_.Finish();
  TERN_TRY(results_.Sync());
  TERN_TRY(status_);
  if (Interrupted()) return Fail(Code::kCancelled, "interrupted");
  return ran;
}

std::optional<StreamItem> BatchRun::NextRequest() {
  while (!Interrupted()) {
    auto item = prompts_.Next();
    if (!item) break;
    if (results_.Has(*item)) continue;
    StreamItem next{.index = item->index, .request = {}};
    // An item with an error goes the same way, with an empty prompt that the engine refuses: that
    // keeps its place.
    if (!item->error) {
      if (const Status encoded = Encode(*item, next.request.prompt); !encoded)
        item->error = Within(item->where, encoded.error()).value();
    }
    next.request.options = item->options;
    items_.emplace(item->index, std::move(*item));
    return next;
  }
  return std::nullopt;
}

Status BatchRun::Encode(BatchItem& item, std::vector<TokenId>& ids) const {
  const Tokenizer& tokenizer = engine_.tokenizer();
  if (item.messages.empty() && !options_.chat) {
    ids = tokenizer.Encode(item.prompt, {.add_bos = tokenizer.spec().add_bos});
    return {};
  }
  if (item.messages.empty()) item.messages.push_back({"user", item.prompt});
  TERN_ASSIGN_OR_RETURN(const auto rendered, RenderChat(family_, tokenizer, item.messages, {}));
  ids = EncodeChat(tokenizer, rendered);
  return {};
}

bool BatchRun::Take(StreamResult result) {
  const auto item = items_.find(result.index);
  status_ = Write(item->second, result);
  items_.erase(item);
  return GoesOn();
}

Status BatchRun::Write(const BatchItem& item, const StreamResult& result) {
  BatchResult record;
  if (item.error) {
    record.error = item.error;
  } else if (result.error) {
    if (!IsAboutTheLine(result.error->code)) return tl::unexpected(*result.error);
    record.error = Within(item.where, *result.error).value();
  } else {
    const GenerationResult& answer = result.answers.at(0);
    record.text = answer.text;
    record.finish = FinishReasonName(answer.finish);
    record.prompt_tokens = answer.stats.prompt_tokens;
    record.generated_tokens = answer.stats.generated_tokens;
  }
  TERN_TRY(results_.Append(item, record));
  ++counts_.answered;
  return {};
}

bool BatchRun::GoesOn() {
  const std::chrono::duration<double> time = Clock::now() - start_;
  const int64_t done = counts_.before + counts_.answered;
  std::string detail = fmt::format(
      "{:.1f} tokens/s", static_cast<double>(engine_.Stats().generated_tokens) / time.count());
  if (counts_.answered > 0)
    detail += fmt::format(", {} left",
                          HumanTime(time.count() * static_cast<double>(counts_.total - done) /
                                    static_cast<double>(counts_.answered)));
  progress_.Update(done, counts_.total, detail);
  return status_ && !Interrupted();
}

}  // namespace tern::cli
