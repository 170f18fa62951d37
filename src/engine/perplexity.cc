#include "engine/perplexity.h"

#include <algorithm>
#include <cmath>

namespace tern {
namespace {

std::string_view Strip(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::span<const float> LogitsRow(FloatView logits, int64_t row) {
  return {logits.Row(row), static_cast<size_t>(logits.cols)};
}

// ln sum e^logit, in double.
double LogSumExp(std::span<const float> logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - top);
  return std::log(sum) + top;
}

// sum p ln(p / q) of the distributions that two rows of logits stand for.
double Divergence(std::span<const float> base, double base_total, std::span<const float> model,
                  double model_total) {
  double sum = 0;
  for (size_t i = 0; i < base.size(); ++i)
    sum += std::exp(base[i] - base_total) * (double{base[i]} - double{model[i]});
  return sum - (base_total - model_total);
}

bool SameTop(std::span<const float> a, std::span<const float> b) {
  const auto top = [](std::span<const float> row) {
    return std::max_element(row.begin(), row.end()) - row.begin();
  };
  return top(a) == top(b);
}

// Rows of one forward pass: inputs ids[at .. at + count) at positions from `position` on.
struct Step {
  int64_t at, count, position;
};

// Calls visit(step) for every window, at most max_rows rows at a time, until one fails.
template <class Visit>
Status ForEachStep(int64_t total, int64_t window, int64_t max_rows, Visit visit) {
  if (total < 1) return Fail(Code::kInvalidArgument, "the text has no tokens to predict");
  for (int64_t start = 0; start < total; start += window) {
    const int64_t end = std::min(total, start + window);
    for (int64_t at = start; at < end; at += max_rows)
      TERN_TRY(visit(Step{at, std::min(end - at, max_rows), at - start}));
  }
  return {};
}

Result<FloatView> Run(const Runner& runner, std::span<const TokenId> ids, const Step& step) {
  const auto tokens = ids.subspan(static_cast<size_t>(step.at), static_cast<size_t>(step.count));
  const std::vector<BlockId> table = IdentityTable(step.position + step.count);
  return runner.executor.Forward(SequenceRows(tokens, step.position, table).WantingAll(),
                                 runner.cache);
}

Error Stopped(int64_t done, int64_t total) {
  return {Code::kCancelled, fmt::format("stopped after {} of {} tokens", done, total)};
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
  PerplexityResult result;
  result.bytes = stream.bytes;
  const auto visit = [&](const Step& step) -> Status {
    TERN_ASSIGN_OR_RETURN(const FloatView logits, Run({executor, cache}, stream.ids, step));
    for (int64_t i = 0; i < step.count; ++i) {
      const auto row = LogitsRow(logits, i);
      const TokenId target = stream.ids[static_cast<size_t>(step.at + i + 1)];
      result.nats += LogSumExp(row) - row[static_cast<size_t>(target)];
    }
    result.tokens += step.count;
    if (progress && !progress(result.tokens, total, result))
      return tl::unexpected(Stopped(result.tokens, total));
    return {};
  };
  TERN_TRY(ForEachStep(total, std::min(options.window, cache.shape().positions()),
                       executor.max_rows(), visit));
  return result;
}

double DivergenceResult::MeanKl() const {
  return model.tokens ? kl / static_cast<double>(model.tokens) : 0;
}

double DivergenceResult::SameTopShare() const {
  return model.tokens ? static_cast<double>(same_top) / static_cast<double>(model.tokens) : 0;
}

Result<DivergenceResult> MeasureDivergence(const Runner& base, const Runner& model,
                                           const DocumentStream& stream,
                                           const PerplexityOptions& options,
                                           const DivergenceProgress& progress) {
  const auto total = static_cast<int64_t>(stream.ids.size()) - 1;
  DivergenceResult result;
  result.base.bytes = result.model.bytes = stream.bytes;
  const auto visit = [&](const Step& step) -> Status {
    TERN_ASSIGN_OR_RETURN(const FloatView p, Run(base, stream.ids, step));
    TERN_ASSIGN_OR_RETURN(const FloatView q, Run(model, stream.ids, step));
    if (p.cols != q.cols)
      return Fail(Code::kInvalidArgument, "found a base with {} tokens, expected the model's {}",
                  p.cols, q.cols);
    for (int64_t i = 0; i < step.count; ++i) {
      const auto p_row = LogitsRow(p, i), q_row = LogitsRow(q, i);
      const double p_total = LogSumExp(p_row), q_total = LogSumExp(q_row);
      const auto target = static_cast<size_t>(stream.ids[static_cast<size_t>(step.at + i + 1)]);
      const double kl = Divergence(p_row, p_total, q_row, q_total);
      result.kl += kl;
      result.largest_kl = std::max(result.largest_kl, kl);
      result.same_top += SameTop(p_row, q_row) ? 1 : 0;
      result.base.nats += p_total - p_row[target];
      result.model.nats += q_total - q_row[target];
    }
    result.base.tokens = result.model.tokens += step.count;
    if (progress && !progress(result.model.tokens, total, result))
      return tl::unexpected(Stopped(result.model.tokens, total));
    return {};
  };
  const int64_t window =
      std::min({options.window, base.cache.shape().positions(), model.cache.shape().positions()});
  TERN_TRY(ForEachStep(total, window, std::min(base.executor.max_rows(), model.executor.max_rows()),
                       visit));
  return result;
}

}  // namespace tern
