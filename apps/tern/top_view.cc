#include "top_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "human.h"

namespace tern::cli {
namespace {

using Number = std::optional<double>;

constexpr int kLabel = 11;   // columns of a line's name
constexpr int kBar = 24;     // columns of a bar
constexpr int kNarrow = 60;  // below, bars are left out

std::string Plain(Number value, const char* format = "{:.0f}") {
  return value ? fmt::format(fmt::runtime(format), *value) : "-";
}

std::string Rate(Number value) { return Plain(value, value && *value < 100 ? "{:.1f}" : "{:.0f}"); }

std::string Percent(Number share) { return share ? fmt::format("{:.0f}%", *share * 100) : "-"; }

// Three figures.
std::string Time(Number seconds) {
  if (!seconds) return "-";
  const auto [value, unit] = *seconds < 1e-3 ? std::pair(*seconds * 1e6, "us")
                             : *seconds < 1  ? std::pair(*seconds * 1e3, "ms")
                                             : std::pair(*seconds, "s");
  return fmt::format("{:.{}f} {}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0, unit);
}

std::string Bytes(Number bytes) {
  return bytes ? HumanBytes(static_cast<uint64_t>(std::max(0.0, *bytes))) : "-";
}

// A change per hour, with its sign.
std::string Change(Number share) { return share ? fmt::format("{:+.1f}%", *share * 100) : "-"; }

class View {
 public:
  View(const TopLook* before, const TopLook& now, const TopStyle& style)
      : before_(before), now_(now), style_(style) {}

  std::string Render() {
    Alerts();
    Load();
    Times();
    Machine();
    return std::move(text_);
  }

 private:
  void Line(const std::string& name, const std::string& rest, const char* color = nullptr) {
    std::string line = fmt::format("{:<{}}{}", name, kLabel, rest);
    // ASCII but for what the server's labels hold: cut by bytes would break a character.
    while (static_cast<int>(line.size()) > style_.columns) {
      do line.pop_back();
      while (!line.empty() && (line.back() & 0xC0) == 0x80);
    }
    while (line.ends_with(' ')) line.pop_back();
    if (color != nullptr && style_.color)
      fmt::format_to(std::back_inserter(text_), "\x1b[{}m{}\x1b[0m\n", color, line);
    else
      text_ += line + "\n";
  }

  std::string Bar(Number share) const {
    if (style_.columns < kNarrow) return "";
    const int full = share ? static_cast<int>(std::lround(std::clamp(*share, 0.0, 1.0) * kBar)) : 0;
    return "[" + std::string(static_cast<size_t>(full), '|') +
           std::string(static_cast<size_t>(kBar - full), ' ') + "]";
  }

  Number Find(const char* name, const MetricLabels& labels = {}) const {
    return now_.Find(name, labels);
  }
  Number PerSecond(const char* name) const {
    const Number now = Find(name), then = before_ != nullptr ? before_->Find(name) : std::nullopt;
    if (!now || !then || *now < *then) return std::nullopt;  // another process: it counts anew
    const double passed = now_.time() - before_->time();
    return passed > 0 ? Number((*now - *then) / passed) : std::nullopt;
  }
  static Number Share(Number part, Number whole) {
    return part && whole && *whole > 0 ? Number(*part / *whole) : std::nullopt;
  }

  void Alerts() {
    for (const std::string& operation : now_.Values("tern_slowdown_alert", "operation"))
      if (Find("tern_slowdown_alert", {{"operation", operation}}) == 1)
        Line(
            "SLOWER",
            fmt::format("{} takes {} times its usual time ({} more is allowed)", OneLine(operation),
                        Plain(Find("tern_slowdown_ratio", {{"operation", operation}}), "{:.2f}"),
                        Percent(Find("tern_slowdown_tolerance_ratio"))),
            "1;31");
    if (Find("tern_ready") == 0) Line("loading", "the model is not ready yet");
  }

  void Load() {
    const auto ended = [&](const char* result) {
      return Plain(Find("tern_requests_total", {{"result", result}}));
    };
    Line("tokens/s", fmt::format("{:>8} written   {:>8} read from prompts   busy {:>4} {}",
                                 Rate(PerSecond("tern_tokens_generated_total")),
                                 Rate(PerSecond("tern_prompt_tokens_total")),
                                 Percent(Find("tern_busy_ratio")), ""));
    Line("passes",
         fmt::format("{:>8} rows      {:>8}/s decode   {:>8}/s prefill",
                     Plain(Find("tern_batch_rows")), Rate(Find("tern_decode_tokens_per_second")),
                     Rate(Find("tern_prefill_tokens_per_second"))));
    Line("requests",
         fmt::format("{:>8} running   {:>8} waiting   {:>8} paused",
                     Plain(Find("tern_requests_running")), Plain(Find("tern_requests_waiting")),
                     Plain(Find("tern_requests_paused"))));
    Line("ended",
         fmt::format("{:>8} finished  {:>8} cancelled {:>8} refused {:>6} failed",
                     ended("finished"), ended("cancelled"), ended("refused"), ended("failed")));
    const Number blocks = Find("tern_kv_blocks"), used = Find("tern_kv_blocks_used");
    Line("KV cache", fmt::format("{:>8} {}  {} of {} blocks, {} kept for reuse",
                                 Percent(Share(used, blocks)), Bar(Share(used, blocks)),
                                 Plain(used), Plain(blocks), Plain(Find("tern_kv_blocks_cached"))));
    const Number hits =
        Share(Find("tern_prompt_tokens_cached_total"), Find("tern_prompt_tokens_total"));
    Line("prefix", fmt::format("{:>8} {}  of prompt tokens were known", Percent(hits), Bar(hits)));
  }

  void Times() {
    constexpr std::pair<const char*, const char*> kSeries[] = {
        {"first token", "ttft"}, {"tokens", "inter_token"}, {"queue", "queue"}, {"pass", "step"}};
    constexpr const char* kPercents[] = {"50", "90", "95", "99", "99.9", "100"};
    Line("", "");
    std::string head = "";
    for (const char* percent : kPercents)
      head += fmt::format("{:>9}",
                          percent == std::string_view("100") ? "max" : fmt::format("P{}", percent));
    Line("last minute", head + "  change/h", "1");
    for (const auto& [name, series] : kSeries) {
      std::string row;
      for (const char* percent : kPercents)
        row += fmt::format("{:>9}", Time(Find(fmt::format("tern_{}_recent_seconds", series).c_str(),
                                              {{"percentile", percent}})));
      Line(name, fmt::format("{}  {:>8}", row,
                             Change(Find("tern_trend_per_hour", {{"series", series}}))));
    }
    for (const std::string& operation : now_.Values("tern_slowdown_ratio", "operation")) {
      const MetricLabels labels = {{"operation", operation}};
      Line(OneLine(operation),
           fmt::format("{:>9} times as usual ({} to {})",
                       Plain(Find("tern_slowdown_ratio", labels), "{:.3f}"),
                       Plain(Find("tern_slowdown_low_ratio", labels), "{:.3f}"),
                       Plain(Find("tern_slowdown_high_ratio", labels), "{:.3f}")));
    }
  }

  void Machine() {
    Line("", "");
    const Number limit = Find("tern_read_limit_ratio");
    Line("memory",
         fmt::format("{:>9} resident  {} weights  {} keys and values",
                     Bytes(Find("process_resident_memory_bytes")),
                     Bytes(Find("tern_weights_bytes")), Bytes(Find("tern_kv_cache_bytes"))));
    if (const Number read = Find("tern_read_bytes_per_second"))
      Line("reads", fmt::format("{:>9}/s {}", Bytes(read),
                                limit ? Bar(limit) + " " + Percent(limit) + " of the limit" : ""));
    for (const std::string& domain : now_.Values("tern_power_watts", "domain"))
      Line("power", fmt::format("{:>7} W  {}",
                                Plain(Find("tern_power_watts", {{"domain", domain}}), "{:.1f}"),
                                OneLine(domain)));
    if (const Number energy = Find("tern_energy_per_token_joules"))
      Line("energy", fmt::format("{:>7.3g} J  a token", *energy));
    for (const std::string& sensor : now_.Values("tern_temperature_celsius", "sensor"))
      Line("heat",
           fmt::format("{:>7} C  {}",
                       Plain(Find("tern_temperature_celsius", {{"sensor", sensor}}), "{:.1f}"),
                       OneLine(sensor)));
    for (const std::string& gpu : now_.Values("tern_gpu_memory_used_bytes", "gpu")) Gpu(gpu);
  }

  void Gpu(const std::string& gpu) {
    const MetricLabels labels = {{"gpu", gpu}};
    const Number busy = Find("tern_gpu_utilization_ratio", labels);
    Line("GPU " + OneLine(gpu),
         fmt::format("{:>8} {}  {} of {}  {} W  {} C", Percent(busy), Bar(busy),
                     Bytes(Find("tern_gpu_memory_used_bytes", labels)),
                     Bytes(Find("tern_gpu_memory_bytes", labels)),
                     Plain(Find("tern_gpu_power_watts", labels)),
                     Plain(Find("tern_gpu_temperature_celsius", labels))));
  }

  const TopLook* const before_;
  const TopLook& now_;
  const TopStyle style_;
  std::string text_;
};

}  // namespace

std::optional<double> TopLook::Find(std::string_view name, const MetricLabels& labels) const {
  for (const MetricSample& sample : samples_) {
    if (sample.name != name) continue;
    const bool fits = std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
      return sample.Label(label.first) == label.second;
    });
    if (fits) return std::isfinite(sample.value) ? std::optional(sample.value) : std::nullopt;
  }
  return std::nullopt;
}

std::vector<std::string> TopLook::Values(std::string_view name, std::string_view label) const {
  std::vector<std::string> values;
  for (const MetricSample& sample : samples_)
    if (sample.name == name) values.emplace_back(sample.Label(label));
  return values;
}

std::string RenderTop(const TopLook* before, const TopLook& now, const TopStyle& style) {
  return View(before, now, style).Render();
}

}  // namespace tern::cli
