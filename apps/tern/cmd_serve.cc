// tern serve: a model behind HTTP.
#include <filesystem>
#include <memory>

#include "command.h"
#include "model_options.h"
#include "server/api.h"
#include "server/http_server.h"

namespace tern::cli {
namespace {

struct Options {
  ModelOptions model;
  HttpOptions http;
  size_t queue = ApiOptions{}.max_waiting;
  int timeout = 30;  // seconds
};

// What clients see: the name that the file gives the model, else its own.
std::string NameOf(const Session& session) {
  const std::string& name = session.model().config.name;
  return name.empty() ? std::filesystem::path(session.source().path()).stem().string() : name;
}

Result<int> Serve(Options& options) {
  options.http.timeout = std::chrono::seconds(options.timeout);
  TERN_ASSIGN_OR_RETURN(const auto server, HttpServer::Bind(options.http));
  TERN_ASSIGN_OR_RETURN(const auto session, OpenSession(options.model, {}));
  const auto log = [](const std::string& line) { PrintNote(line); };
  Api api(*session, {.model = NameOf(*session), .max_waiting = options.queue}, log);
  TERN_TRY(server->Serve(
      [&api](const HttpRequest& request, HttpExchange& exchange) { api.Handle(request, exchange); },
      log));
  return kExitOk;
}

Action Define(CLI::App& app) {
  auto options = std::make_shared<Options>();
  constexpr const char* kGroup = "Server";
  app.add_option(
         "--host", options->http.host,
         "Address to listen on (default 127.0.0.1: this machine alone); nobody is asked for a key")
      ->option_text("ADDRESS")
      ->group(kGroup);
  app.add_option("--port", options->http.port,
                 "Port to listen on (default 8080); 0: a free one, printed on stderr")
      ->option_text("PORT")
      ->group(kGroup);
  app.add_option("--queue", options->queue,
                 "Requests that may wait while another one is answered (default 16); more are "
                 "told to try again later")
      ->option_text("N")
      ->check(CLI::Range(0, 1000))
      ->group(kGroup);
  app.add_option("--connections", options->http.max_connections,
                 "Connections that may be open at once (default 64)")
      ->option_text("N")
      ->check(CLI::Range(1, 200))
      ->group(kGroup);
  app.add_option("--timeout", options->timeout,
                 "Seconds that a client may take to send a request, or hold up its answer, before "
                 "it is disconnected (default 30)")
      ->option_text("SECONDS")
      ->check(CLI::Range(1, 3600))
      ->group(kGroup);
  AddModelOptions(app, options->model,
                  kModelName | kModelLayout | kModelTokenizer | kModelContext | kModelCompute);
  return [options] { return Serve(*options); };
}

}  // namespace

const Command kServeCommand = {
    "serve", "Answer completion requests over HTTP, one at a time, as OpenAI's API does",
    "  tern serve -m model.gguf\n"
    "  curl http://127.0.0.1:8080/v1/chat/completions \\\n"
    "    -d '{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}], \"stream\": true}'\n"
    "Endpoints: GET /health, GET /v1/models, POST /v1/completions, POST /v1/chat/completions.",
    Define};

}  // namespace tern::cli
