// tern serve: a model behind HTTP.
#include <filesystem>
#include <memory>
#include <optional>

#include "command.h"
#include "model_options.h"
#include "observed_engine.h"
#include "perf/limits.h"
#include "profile/op_times.h"
#include "registry/registry.h"
#include "server/api.h"
#include "server/http_server.h"

namespace tern::cli {
namespace {

struct Options {
  ModelOptions model;
  HttpOptions http;
  EngineOptions engine;
  ApiOptions api;
  std::string alias;
  std::vector<std::string> keys;
  std::string key_file;
  // Seconds.
  int timeout = 30;
  int idle_timeout = 75;
  int time_limit = 600;
  int drain_timeout = 30;
  int64_t body_limit_kib = 2048, bodies_mib = 256;
  int64_t memory_budget_mib = 0;
  int64_t swap_memory_mib = -1;  // below 0: the engine's choice
  double alert_percent = 5;
  bool measure_limits = false, measure_operations = false;
};

// What clients see: what the user calls the model, else the name that the file gives it, else its
// own.
std::string NameOf(const Options& options, const Engine& engine) {
  if (!options.alias.empty()) return options.alias;
  const std::string& name = engine.model().config.name;
  return name.empty() ? std::filesystem::path(engine.source().path()).stem().string() : name;
}

// Every way out of Serve ends the server's thread first: it uses what goes away then.
class ShutdownAtEnd {
 public:
  explicit ShutdownAtEnd(HttpServer& server) : server_(server) {}
  ~ShutdownAtEnd() { server_.Shutdown(grace); }
  std::chrono::milliseconds grace = {};

 private:
  HttpServer& server_;
};

void ReloadKeys(Api& api) {
  const Status reloaded = api.ReloadKeys();
  if (reloaded)
    PrintNote(fmt::format("SIGHUP: {} API keys", api.keys().size()));
  else
    PrintError(reloaded.error().message + "; the API keys stay as they were");
}

// Of the GPU, or of this machine; before the model takes memory and time.
Status MeasureMemory(const ModelOptions& model, MonitorOptions& monitoring) {
  std::optional<DeviceLimits> device;
  {
    TERN_ASSIGN_OR_RETURN(const auto backend,
                          CreateBackend(model.backend, {.threads = model.threads}));
    TERN_ASSIGN_OR_RETURN(device, backend->MeasureLimits());
  }
  const double read =
      device ? device->stream_gb_s
             : MeasureDramRead({.threads = model.threads, .runs = 5, .one_thread = false}).all;
  if (read <= 0) {
    PrintNote("not enough memory to measure how fast it can be read");
    return {};
  }
  monitoring.memory_limit = read * 1e9;
  PrintNote(fmt::format("memory can be read at {:.1f} GB/s", read));
  return {};
}

Result<int> Serve(Options& options) {
  using std::chrono::seconds;
  options.http.timeout = seconds(options.timeout);
  options.http.idle_timeout = seconds(options.idle_timeout);
  options.http.max_body = static_cast<size_t>(options.body_limit_kib) << 10;
  options.http.max_bodies = static_cast<size_t>(options.bodies_mib) << 20;
  options.engine.memory_budget = static_cast<uint64_t>(options.memory_budget_mib) << 20;
  if (options.swap_memory_mib >= 0)
    options.engine.swap_memory = static_cast<uint64_t>(options.swap_memory_mib) << 20;
  options.engine.stall_limit = options.http.timeout;
  options.engine.monitoring.tolerance = options.alert_percent / 100;
  options.engine.monitoring.on_alert = [](const PerformanceAlert& alert) {
    PrintNote((alert.firing ? "alert: " : "alert ended: ") + alert.Describe());
  };
  TERN_ASSIGN_OR_RETURN(ApiKeys keys, ApiKeys::Load(options.keys, options.key_file));
  // Destroyed in reverse: the engine's thread wakes the server's, which therefore stays longest.
  TERN_ASSIGN_OR_RETURN(const auto server, HttpServer::Bind(options.http));
  OpTimes op_times;  // called by the engine
  std::unique_ptr<Engine> engine;
  Api api(options.api, std::move(keys));
  api.SetHttpStats([&server] { return server->Stats(); });
  TERN_TRY(server->Start([&api](HttpRequest request) { return api.Handle(std::move(request)); },
                         [](const std::string& line) { PrintNote(line); },
                         [&api] { ReloadKeys(api); }));
  ShutdownAtEnd shutdown(*server);

  if (options.measure_limits) TERN_TRY(MeasureMemory(options.model, options.engine.monitoring));
  if (options.measure_operations) {
    TERN_ASSIGN_OR_RETURN(engine, OpenObservedEngine(options.model, options.engine, op_times));
    op_times.AttachTo(*engine->monitor(), engine->model().config.layers);
  } else {
    TERN_ASSIGN_OR_RETURN(engine, OpenEngine(options.model, options.engine));
  }
  const std::string name = NameOf(options, *engine);
  api.SetModel(*engine, {.model = name,
                         .build = "tern " TERN_VERSION,
                         .slots = options.engine.max_sequences,
                         .time_limit = seconds(options.time_limit)});
  PrintNote(fmt::format("ready: {}, {} sequences of {} tokens", name, options.engine.max_sequences,
                        engine->context()));
  server->WaitForStop();
  PrintNote("stopping: running answers are finished, new requests get 503");
  if (const Status drained = engine->Drain(seconds(options.drain_timeout)); !drained)
    PrintNote(drained.error().message);
  // What the engine has written still has to reach the clients.
  shutdown.grace = options.http.timeout;
  return kExitOk;
}

void DefineLimits(CLI::App& app, Options& options) {
  constexpr const char* kGroup = "Limits";
  app.add_option("--queue", options.engine.max_queue,
                 "Requests that may wait; more are told to try again later (default 1024)")
      ->option_text("N")
      ->check(CLI::Range(1, 1 << 20))
      ->group(kGroup);
  app.add_option("--connections", options.http.max_connections,
                 "Connections that may be open at once (default 512); more get 503")
      ->option_text("N")
      ->check(CLI::Range(1, 100000))
      ->group(kGroup);
  app.add_option("--body-limit", options.body_limit_kib,
                 "Largest body of a request in KiB (default 2048); more get 413")
      ->option_text("KIB")
      ->check(CLI::Range(1, 1 << 20))
      ->group(kGroup);
  app.add_option("--bodies", options.bodies_mib,
                 "Bodies of all waiting requests together in MiB (default 256); more get 503")
      ->option_text("MIB")
      ->check(CLI::Range(1, 1 << 20))
      ->group(kGroup);
  app.add_option("--timeout", options.timeout,
                 "Seconds that a client may take to send a request, or not to read its answer, "
                 "before it is disconnected (default 30)")
      ->option_text("SECONDS")
      ->check(CLI::Range(1, 3600))
      ->group(kGroup);
  app.add_option("--idle-timeout", options.idle_timeout,
                 "Seconds that a connection may be open between two requests (default 75)")
      ->option_text("SECONDS")
      ->check(CLI::Range(1, 86400))
      ->group(kGroup);
  app.add_option("--time-limit", options.time_limit,
                 "Seconds after which an answer is cut (default 600)")
      ->option_text("SECONDS")
      ->check(CLI::Range(1, 86400))
      ->group(kGroup);
  app.add_option("--drain-timeout", options.drain_timeout,
                 "Seconds that running answers get to finish after SIGTERM (default 30)")
      ->option_text("SECONDS")
      ->check(CLI::Range(0, 86400))
      ->group(kGroup);
}

void DefineEngine(CLI::App& app, Options& options) {
  EngineOptions& engine = options.engine;
  constexpr const char* kGroup = "Batching";
  app.add_option("--np,--parallel", engine.max_sequences,
                 "Answers that are written at the same time (default 32; also -np)")
      ->option_text("N")
      ->check(CLI::Range(1, 4096))
      ->group(kGroup);
  app.add_option("--batch-tokens", engine.token_budget,
                 "Rows of one forward pass (default 512): answers first, then prompts in chunks")
      ->option_text("N")
      ->check(CLI::Range(1, 65536))
      ->group(kGroup);
  app.add_option("--memory-budget", options.memory_budget_mib,
                 "Memory for weights, cache and buffers in MiB (default: no bound but the "
                 "machine's); fewer answers run at once if they must")
      ->option_text("MIB")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->group(kGroup);
  app.add_option("--kv-tokens", engine.kv_tokens,
                 "Positions in the cache, all answers together (default: what the memory allows)")
      ->option_text("N")
      ->group(kGroup);
  app.add_option("--swap-memory", options.swap_memory_mib,
                 "Memory of the host in MiB for the cache of answers that have to wait for room "
                 "(default: with a GPU the size of its cache, at most 4096; else 0: what they lose "
                 "is computed again)")
      ->option_text("MIB")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
      ->group(kGroup);
  app.add_flag("!--no-prefix-cache", engine.prefix_cache,
               "Don't reuse the beginning of earlier prompts")
      ->group(kGroup);
  app.add_option("--draft", engine.draft_tokens,
                 "Tokens to guess from the text so far and check at once (default 0: off); the "
                 "text is the same")
      ->option_text("N")
      ->check(CLI::Range(0, 16))
      ->group(kGroup);
}

void DefineMonitoring(CLI::App& app, Options& options) {
  constexpr const char* kGroup = "Monitoring";
  MonitorOptions& monitoring = options.engine.monitoring;
  app.add_option("--alert-tolerance", options.alert_percent,
                 "Percent that decoding or reading prompts may be slower than usual before it is "
                 "an alert (default 5)")
      ->option_text("PERCENT")
      ->check(CLI::Range(0.1, 1000.0))
      ->group(kGroup);
  app.add_option("--alert-after", monitoring.hold,
                 "Seconds that a slowdown must last to be believed (default 60)")
      ->option_text("SECONDS")
      ->check(CLI::Range(1.0, 86400.0))
      ->group(kGroup);
  app.add_option("--alert-learning", monitoring.learning,
                 "Seconds until the usual time of a kind of work is known (default 60)")
      ->option_text("SECONDS")
      ->check(CLI::Range(1.0, 86400.0))
      ->group(kGroup);
  app.add_flag("--measure-limits", options.measure_limits,
               "Measure first how fast memory can be read, to say how near decoding comes")
      ->group(kGroup);
  CLI::Option* const off = app.add_flag("!--no-monitor", options.engine.monitor,
                                        "Time nothing: no percentiles, trends and alerts")
                               ->group(kGroup);
  app.add_flag("--measure-operations", options.measure_operations,
               "Time every operation of every layer too; each is waited for and none are joined, "
               "which makes answers slower; their text is the same")
      ->excludes(off)
      ->group(kGroup);
}

Action Define(CLI::App& app) {
  auto options = std::make_shared<Options>();
  constexpr const char* kGroup = "Server";
  app.add_option("--host", options->http.host,
                 "Address to listen on (default 127.0.0.1: this machine alone)")
      ->option_text("ADDRESS")
      ->group(kGroup);
  app.add_option("--port", options->http.port,
                 "Port to listen on (default 8080); 0: a free one, printed on stderr")
      ->option_text("PORT")
      ->group(kGroup);
  app.add_option("--alias", options->alias,
                 "Name of the model for clients (default: as the file says)")
      ->option_text("NAME")
      ->group(kGroup);
  app.add_option("--api-key", options->keys,
                 "Key that clients must send; may be given more than once. Other users of this "
                 "machine see it: prefer --api-key-file")
      ->option_text("KEY")
      ->group(kGroup);
  app.add_option("--api-key-file", options->key_file,
                 "File of keys, one a line; read again on SIGHUP")
      ->option_text("FILE")
      ->group(kGroup);
  app.add_option("--cors-origin", options->api.cors_origin,
                 "Origin whose pages may ask, or * for any (default: none)")
      ->option_text("ORIGIN")
      ->group(kGroup);
  DefineLimits(app, *options);
  DefineEngine(app, *options);
  DefineMonitoring(app, *options);
  AddModelOptions(app, options->model,
                  kModelName | kModelLayout | kModelTokenizer | kModelContext | kModelCompute);
  return [options] { return Serve(*options); };
}

}  // namespace

const Command kServeCommand = {
    "serve", "Answer many clients at once over HTTP, as OpenAI's API does",
    "  tern serve -m model.gguf --api-key-file keys.txt\n"
    "  curl http://127.0.0.1:8080/v1/chat/completions \\\n"
    "    -d '{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}], \"stream\": true}'\n"
    "A page to chat on is at http://127.0.0.1:8080/. Endpoints and limits: docs/server.md.",
    Define};

}  // namespace tern::cli
