#include "perf/prometheus_text.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

namespace tern {
namespace {

const char* Name(PrometheusText::Type type) {
  switch (type) {
    case PrometheusText::Type::kCounter:
      return "counter";
    case PrometheusText::Type::kGauge:
      return "gauge";
    case PrometheusText::Type::kHistogram:
      break;
  }
  return "histogram";
}

std::string Number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

std::string Escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\' || c == '"') result += '\\';
    if (c == '\n')
      result += "\\n";
    else
      result += c;
  }
  return result;
}

void SkipSpaces(std::string_view& text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
}

std::string_view TakeName(std::string_view& text) {
  const auto is_part = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == ':';
  };
  size_t end = 0;
  while (end < text.size() && is_part(text[end])) ++end;
  const std::string_view name = text.substr(0, end);
  text.remove_prefix(end);
  return name;
}

// What stands between quotes; the opening one is gone already.
std::optional<std::string> TakeQuoted(std::string_view& text) {
  std::string value;
  while (!text.empty()) {
    char c = text.front();
    text.remove_prefix(1);
    if (c == '"') return value;
    if (c == '\\') {
      if (text.empty()) return std::nullopt;
      c = text.front() == 'n' ? '\n' : text.front();
      text.remove_prefix(1);
    }
    value += c;
  }
  return std::nullopt;
}

// The opening brace is gone already.
std::optional<MetricLabels> TakeLabels(std::string_view& text) {
  MetricLabels labels;
  while (true) {
    SkipSpaces(text);
    if (text.empty()) return std::nullopt;
    if (text.front() == '}') {
      text.remove_prefix(1);
      return labels;
    }
    const std::string_view name = TakeName(text);
    if (name.empty() || !text.starts_with("=\"")) return std::nullopt;
    text.remove_prefix(2);
    auto value = TakeQuoted(text);
    if (!value) return std::nullopt;
    labels.emplace_back(name, *std::move(value));
    if (text.starts_with(",")) text.remove_prefix(1);
  }
}

std::optional<double> ToNumber(std::string_view text) {
  if (text == "NaN") return std::nan("");
  if (text == "+Inf" || text == "Inf") return std::numeric_limits<double>::infinity();
  if (text == "-Inf") return -std::numeric_limits<double>::infinity();
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<MetricSample> ParseLine(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  SkipSpaces(line);
  MetricSample sample;
  sample.name = TakeName(line);
  if (sample.name.empty()) return std::nullopt;
  if (line.starts_with('{')) {
    line.remove_prefix(1);
    auto labels = TakeLabels(line);
    if (!labels) return std::nullopt;
    sample.labels = *std::move(labels);
  }
  SkipSpaces(line);
  const auto value = ToNumber(line.substr(0, line.find(' ')));  // a time may follow
  if (!value) return std::nullopt;
  sample.value = *value;
  return sample;
}

}  // namespace

void PrometheusText::Begin(std::string_view name, Type type, std::string_view help) {
  name_ = name;
  fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name,
                 Name(type));
}

void PrometheusText::Value(double value, const MetricLabels& labels, std::string_view suffix) {
  text_ += name_;
  text_ += suffix;
  if (!labels.empty()) {
    text_ += '{';
    for (const auto& [label, of] : labels)
      fmt::format_to(std::back_inserter(text_), "{}{}=\"{}\"", text_.back() == '{' ? "" : ",",
                     label, Escaped(of));
    text_ += '}';
  }
  fmt::format_to(std::back_inserter(text_), " {}\n", Number(value));
}

void PrometheusText::Value(const HistogramSnapshot& histogram, const std::vector<double>& bounds,
                           const MetricLabels& labels) {
  MetricLabels with = labels;
  with.emplace_back("le", "");
  for (const double bound : bounds) {
    with.back().second = Number(bound);
    Value(static_cast<double>(histogram.CountUpTo(bound)), with, "_bucket");
  }
  with.back().second = "+Inf";
  Value(static_cast<double>(histogram.count()), with, "_bucket");
  Value(histogram.sum(), labels, "_sum");
  Value(static_cast<double>(histogram.count()), labels, "_count");
}

void PrometheusText::Add(std::string_view name, Type type, std::string_view help, double value) {
  Begin(name, type, help);
  Value(value);
}

std::string_view MetricSample::Label(std::string_view label) const {
  for (const auto& [key, found] : labels)
    if (key == label) return found;
  return {};
}

std::vector<MetricSample> ParsePrometheusText(std::string_view text) {
  std::vector<MetricSample> samples;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (auto sample = ParseLine(line)) samples.push_back(*std::move(sample));
  }
  return samples;
}

}  // namespace tern
