#include "engine/perplexity.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tern {
namespace {

std::string_view Strip(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// -ln softmax(logits)[target], in double.
double Surprise(std::span<const float> logits, TokenId target) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - top);
  return std::log(sum) + top - logits[static_cast<size_t>(target)];
}

// Parts of the text between lines that equal `separator`.
std::vector<std::string_view> SplitAtLines(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> parts;
  size_t part = 0;
  for (size_t line = 0; line < text.size();) {
    const size_t end = std::min(text.find('\n', line), text.size());
    if (Strip(text.substr(line, end - line)) == separator) {
      parts.push_back(text.substr(part, line - part));
      part = std::min(end + 1, text.size());
    }
    line = end + 1;
  }
  parts.push_back(text.substr(part));
  return parts;
}

}  // namespace

double PerplexityResult::Perplexity() const {
  return tokens ? std::exp(nats / static_cast<double>(tokens)) : 0;
}

double PerplexityResult::BitsPerByte() const {
  return bytes ? nats / std::log(2.0) / static_cast<double>(bytes) : 0;
}

DocumentStream ReadDocuments(std::string_view text, const Tokenizer& tokenizer) {
  const TokenizerSpec& spec = tokenizer.spec();
  DocumentStream stream;
  const auto start = spec.bos ? spec.bos : spec.eos;
  if (start) stream.ids.push_back(*start);
  std::vector<std::string_view> documents = {text};
  if (spec.eos) documents = SplitAtLines(text, tokenizer.Piece(*spec.eos, true));
  const bool separated = documents.size() > 1;
  for (std::string_view document : documents) {
    if (separated) document = Strip(document);
    if (document.empty()) continue;
    const std::vector<TokenId> ids = tokenizer.Encode(document, {});
    stream.ids.insert(stream.ids.end(), ids.begin(), ids.end());
    if (separated) stream.ids.push_back(*spec.eos);
    stream.bytes += static_cast<int64_t>(document.size());
  }
  return stream;
}

Result<PerplexityResult> MeasurePerplexity(Executor& executor, KvCache& cache,
                                           const DocumentStream& stream,
                                           const PerplexityOptions& options,
                                           const PerplexityProgress& progress) {
  const auto total = static_cast<int64_t>(stream.ids.size()) - 1;
  if (total < 1) return Fail(Code::kInvalidArgument, "the text has no tokens to predict");
  const int64_t window = std::min(options.window, cache.shape().capacity);
  PerplexityResult result;
  result.bytes = stream.bytes;
  std::vector<int32_t> positions(static_cast<size_t>(executor.max_rows())), rows(positions.size());
  const std::vector<int32_t> slots(positions.size(), 0);
  std::iota(rows.begin(), rows.end(), 0);
  for (int64_t start = 0; start < total; start += window) {
    const int64_t end = std::min(total, start + window);
    for (int64_t at = start; at < end; at += executor.max_rows()) {
      const auto count = static_cast<size_t>(std::min(end - at, executor.max_rows()));
      std::iota(positions.begin(), positions.end(), static_cast<int32_t>(at - start));
      const auto ids = std::span(stream.ids).subspan(static_cast<size_t>(at), count + 1);
      TERN_ASSIGN_OR_RETURN(
          const FloatView logits,
          executor.Forward({ids.first(count), std::span(positions).first(count),
                            std::span(slots).first(count), std::span(rows).first(count)},
                           cache));
      for (size_t i = 0; i < count; ++i)
        result.nats += Surprise(
            {logits.Row(static_cast<int64_t>(i)), static_cast<size_t>(logits.cols)}, ids[i + 1]);
      result.tokens += static_cast<int64_t>(count);
      if (progress && !progress(result.tokens, total, result))
        return Fail(Code::kCancelled, "stopped after {} of {} tokens", result.tokens, total);
    }
  }
  return result;
}

}  // namespace tern
