// What a server has done and is doing, in Prometheus' text format 0.0.4.
#pragma once

#include <string>

#include "engine/engine.h"
#include "server/http_server.h"

namespace tern {

/// `engine` null: the model is being loaded. `monitor` may be null.
std::string RenderMetrics(const EngineStats* engine, PerformanceMonitor* monitor,
                          const HttpStats& http);

/// llama-server's /slots: an object for each sequence that can be decoded at once.
std::string RenderSlots(const EngineStats& engine, int64_t slots, int64_t context);

}  // namespace tern
