// The options that say which model to open and how, shared by every command that opens one.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "backend/trace/trace_backend.h"
#include "engine/engine.h"
#include "engine/session.h"

namespace tern::cli {

struct ModelOptions {
  std::string model;  // empty: the built-in model
  std::string i2s_layout = "x86";
  std::string pre;  // empty: as the file says
  std::string backend = "auto";
  std::string gpu_layers = "auto";
  std::string activations;  // empty: as the model was trained
  std::string kv;           // empty: as the activations want it
  std::string head = "native";
  int threads = 0;
  int64_t context = 0;
  std::string level = "aggressive";  // of optimisation
  std::string preset;                // "speed", "memory", or empty
  std::string cache;                 // folder; empty: $TERN_CACHE, else the user's cache folder
  bool no_cache = false;
  bool check = false;  // compares the cache with its digests
};

/// Groups of options, to be combined.
enum ModelOptionGroup : unsigned {
  kModelName = 1,       // -m, --model
  kModelArgument = 2,   // the same as the argument MODEL too
  kModelLayout = 4,     // --i2s-layout
  kModelTokenizer = 8,  // --pre
  kModelContext = 16,   // --ctx
  // --activations, --kv, --head, --threads, --backend, --opt, --for, cache options
  kModelCompute = 32,
  kModelBackend = 64,  // the same without --threads
};

void AddModelOptions(CLI::App& app, ModelOptions& options, unsigned groups);

/// The model to open: what was asked for, else the built-in one. kNotFound naming the places looked
/// at when there is none.
Result<std::string> ModelPath(const ModelOptions& options);

SourceOptions ToSourceOptions(const ModelOptions& options);
TokenizerSourceOptions ToTokenizerOptions(const ModelOptions& options);

/// What a command needs beyond the user's options.
struct SessionNeeds {
  bool tokenizer = true;
  int64_t context = 0;   // positions; 0: the user's --ctx, else the default
  int64_t max_rows = 0;  // of one forward pass, at most; 0: as the session has it
  int64_t logit_rows = 1;
  OpObserver* observer = nullptr;  // gets every operation of the backend
};

/// Opens the model, with a progress bar. Says on stderr what was assumed about the tokenizer, and
/// when --ctx is more than the model was made for.
Result<std::unique_ptr<Session>> OpenSession(const ModelOptions& options,
                                             const SessionNeeds& needs);

/// The same for an engine; engine.session is made from the options.
Result<std::unique_ptr<Engine>> OpenEngine(const ModelOptions& options, EngineOptions engine);

}  // namespace tern::cli
