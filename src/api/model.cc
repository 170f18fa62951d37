// tern::v1::Model and TextStream: the public names over LiveModel.
#include <tern/tern.h>

#include "api/convert.h"
#include "api/live_model.h"

namespace tern::v1 {

struct Model::Impl {
  std::shared_ptr<LiveModel> live;
};

struct TextStream::Impl {
  std::shared_ptr<LiveModel> live;
  std::unique_ptr<Ticket> ticket;  // gone before the model is
  Collector collector;
};

std::string_view ErrorCodeName(ErrorCode code) { return CodeName(static_cast<Code>(code)); }

std::string_view FinishReasonName(FinishReason reason) {
  return tern::FinishReasonName(static_cast<tern::FinishReason>(reason));
}

std::string_view Version() { return TERN_VERSION; }

LoadOptions LoadOptions::OptimizedForSpeed() {
  LoadOptions options;
  options.goal = Goal::kSpeed;
  return options;
}

LoadOptions LoadOptions::OptimizedForMemory() {
  LoadOptions options;
  options.goal = Goal::kMemory;
  return options;
}

Result<Model> Model::Load(const std::string& path, const LoadOptions& options) {
  auto live = LiveModel::Load(path, options);
  if (!live) return ToPublic(live.error());
  return Model(std::make_shared<Impl>(Impl{std::move(*live)}));
}

const ModelInfo& Model::info() const { return impl_->live->info(); }

Result<Completion> Model::Generate(const Prompt& prompt, const GenerateOptions& options) const {
  return Generate(prompt, options, {});
}

Result<Completion> Model::Generate(const Prompt& prompt, const GenerateOptions& options,
                                   const TextCallback& on_text) const {
  return impl_->live->Generate(prompt, options, on_text);
}

Result<std::vector<Completion>> Model::GenerateN(const Prompt& prompt, int n,
                                                 const GenerateOptions& options) const {
  return impl_->live->GenerateN(prompt, n, options);
}

std::future<Result<Completion>> Model::GenerateAsync(const Prompt& prompt,
                                                     const GenerateOptions& options) const {
  auto ticket = impl_->live->Submit(prompt, options, true);
  if (ticket) return impl_->live->background().Add(std::move(*ticket));
  std::promise<Result<Completion>> refused;
  refused.set_value(ToPublic(ticket.error()));
  return refused.get_future();
}

Result<TextStream> Model::Stream(const Prompt& prompt, const GenerateOptions& options) const {
  auto ticket = impl_->live->Submit(prompt, options, false);
  if (!ticket) return ToPublic(ticket.error());
  auto impl = std::make_unique<TextStream::Impl>();
  impl->live = impl_->live;
  impl->ticket = std::move(*ticket);
  return TextStream(std::move(impl));
}

std::vector<Result<Completion>> Model::Batch(std::span<const Request> requests,
                                             const BatchCallback& on_done) const {
  return impl_->live->Batch(requests, on_done);
}

Result<std::vector<std::vector<float>>> Model::Embed(std::span<const std::string> texts) const {
  auto embedded = impl_->live->Embed(texts);
  if (!embedded) return ToPublic(embedded.error());
  return std::move(*embedded);
}

std::vector<TokenId> Model::Tokenize(std::string_view text, const TokenizeOptions& options) const {
  return impl_->live->engine().tokenizer().Encode(
      text, {.add_bos = options.add_bos, .parse_special = options.parse_special});
}

Result<std::vector<TokenId>> Model::TokenizePrompt(const Prompt& prompt) const {
  auto ids = impl_->live->Encode(prompt);
  if (!ids) return ToPublic(ids.error());
  return std::move(*ids);
}

std::string Model::Detokenize(std::span<const TokenId> ids, bool special) const {
  return impl_->live->engine().tokenizer().Decode(ids, special);
}

Stats Model::stats() const {
  const Engine& engine = impl_->live->engine();
  return ToPublic(engine.Stats(), engine.monitor());
}

void Model::CancelAll() const { impl_->live->CancelAll(); }

TextStream::TextStream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TextStream::TextStream(TextStream&&) noexcept = default;
TextStream& TextStream::operator=(TextStream&&) noexcept = default;
TextStream::~TextStream() = default;

std::optional<Chunk> TextStream::Next() {
  while (auto event = impl_->ticket->handle().Next()) {
    Chunk chunk = impl_->collector.Add(std::move(*event));
    if (!chunk.text.empty() || !chunk.ids.empty()) return chunk;
  }
  return std::nullopt;
}

Result<Completion> TextStream::Finish() {
  while (Next()) {
  }
  return impl_->collector.Answer();
}

void TextStream::Cancel() { impl_->ticket->handle().Cancel(); }

}  // namespace tern::v1
