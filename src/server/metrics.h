// What a server has done and is doing, in Prometheus' text format 0.0.4. Written by hand: the
// engine counts already, and a client library would want to own the counters; the format itself is
// a line a value.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "server/http_server.h"

namespace tern {

/// Builds the text. Names and labels are ours: nothing is escaped.
class PrometheusText {
 public:
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

  enum class Type : uint8_t { kCounter, kGauge, kSummary };
  /// The values that follow belong to this name.
  void Begin(std::string_view name, Type type, std::string_view help);
  /// labels: `a="b"`, or empty; suffix: "_sum" and the like.
  void Value(double value, std::string_view labels = {}, std::string_view suffix = {});
  /// One value.
  void Add(std::string_view name, Type type, std::string_view help, double value);

  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
  std::string name_;
};

/// `engine` null: the model is being loaded.
std::string RenderMetrics(const EngineStats* engine, const HttpStats& http);

/// llama-server's /slots: an object for each sequence that can be decoded at once.
std::string RenderSlots(const EngineStats& engine, int64_t slots, int64_t context);

}  // namespace tern
