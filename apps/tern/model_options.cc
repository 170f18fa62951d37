#include "model_options.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "command.h"
#include "observed_engine.h"
#include "progress.h"
#include "registry/registry.h"

namespace tern::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBuiltinModel = "tern-stories.gguf";
constexpr const char* kGroup = "Model";

const std::map<std::string, I2sLayout> kLayouts = {
    {"x86", I2sLayout::kX86}, {"arm", I2sLayout::kArm}, {"rows4", I2sLayout::kRows4}};
const std::map<std::string, KvType> kKvTypes = {{"f16", KvType::kF16},
                                                {"bf16", KvType::kBf16},
                                                {"f32", KvType::kF32},
                                                {"int8", KvType::kInt8},
                                                {"q8_0", KvType::kInt8}};
const std::map<std::string, ActivationType> kActivations = {{"int8", ActivationType::kInt8},
                                                            {"float", ActivationType::kFloat}};

const std::map<std::string, OptimizationLevel> kLevels = {
    {"none", OptimizationLevel::kNone},
    {"basic", OptimizationLevel::kBasic},
    {"aggressive", OptimizationLevel::kAggressive}};
using Preset = SessionOptions (*)(std::string model);
const std::map<std::string, Preset> kPresets = {{"speed", SessionOptions::OptimizedForSpeed},
                                                {"memory", SessionOptions::OptimizedForMemory}};
const std::map<std::string, TableForm> kHeads = {{"native", TableForm::kNative},
                                                 {"q8", TableForm::kInt8}};

template <class Map>
CLI::IsMember OneOf(const Map& map) {
  std::vector<std::string> names;
  for (const auto& [name, value] : map) names.push_back(name);
  return CLI::IsMember(names);
}

// Beside the program, where an installation puts it, and in the source tree it was built from.
std::array<fs::path, 3> BuiltinPlaces() {
  std::error_code ec;
  const fs::path folder = fs::read_symlink("/proc/self/exe", ec).parent_path();
  return {folder / kBuiltinModel,
          (folder.parent_path() / "share" / "tern" / kBuiltinModel).lexically_normal(),
          fs::path(TERN_SOURCE_MODELS) / kBuiltinModel};
}

Result<std::string> FindBuiltinModel() {
  std::string places;
  for (const fs::path& place : BuiltinPlaces()) {
    std::error_code ec;
    if (fs::is_regular_file(place, ec)) return place.string();
    places += (places.empty() ? "" : ", ") + place.string();
  }
  return tern::Fail(Code::kNotFound,
                    "the built-in model is missing: give one with -m (looked at {})", places);
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// $TERN_CACHE, else where the XDG base directory specification puts caches; "" for none.
std::string CacheFolder(const ModelOptions& options) {
  if (options.no_cache) return "";
  if (!options.cache.empty()) return options.cache;
  const std::string own = Environment("TERN_CACHE");
  if (!own.empty()) return own == "off" ? "" : own;
  if (const fs::path base = Environment("XDG_CACHE_HOME"); base.is_absolute()) return base / "tern";
  if (const fs::path home = Environment("HOME"); home.is_absolute()) return home / ".cache/tern";
  return "";
}

std::string CheckGpuLayers(const std::string& text) {
  return text == "auto" ? "" : CLI::Range(int64_t{0}, int64_t{1} << 20)(text);
}

void PrintNotes(const Model& model, const Tokenizer* tokenizer, int64_t asked_context) {
  const ModelConfig& config = model.config;
  if (!model.cache.note.empty()) PrintNote(model.cache.note);
  if (tokenizer != nullptr && !tokenizer->spec().note.empty()) PrintNote(tokenizer->spec().note);
  if (asked_context > config.context)
    PrintNote(fmt::format("a context of {} is more than the {} that the model was made for",
                          asked_context, config.context));
}

}  // namespace

void AddModelOptions(CLI::App& app, ModelOptions& options, unsigned groups) {
  const auto add = [&](const char* name, auto& value, const char* text, const char* help) {
    return app.add_option(name, value, help)->option_text(text)->group(kGroup);
  };
  if (groups & (kModelName | kModelArgument))
    add(groups & kModelArgument ? "-m,--model,MODEL" : "-m,--model", options.model, "MODEL",
        (groups & kModelCompute) && !(groups & kModelArgument)
            ? "GGUF file or Hugging Face folder (default: the built-in model)"
            : "GGUF file, Hugging Face folder, tokenizer.json or tiktoken file (default: the "
              "built-in model)");
  if (groups & kModelLayout)
    add("--i2s-layout", options.i2s_layout, "NAME",
        "Byte order inside I2_S tensors, which files don't tell: x86 (default), arm or rows4")
        ->check(OneOf(kLayouts));
  if (groups & kModelTokenizer)
    add("--pre", options.pre, "NAME",
        "Pre-tokenizer to use whatever the file says, e.g. llama-bpe, qwen2, default");
  if (groups & kModelContext)
    add("--ctx", options.context, "N",
        "Tokens the context holds (default: the model's own, at most 4096)")
        ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));
  if (!(groups & (kModelCompute | kModelBackend))) return;
  add("--activations", options.activations, "TYPE",
      "Inputs of ternary layers: int8 or float (default: as the model was trained)")
      ->check(OneOf(kActivations));
  add("--kv", options.kv, "TYPE",
      "Numbers in the cache of keys and values: f16 (default), bf16 (fastest prefill with AMX), "
      "int8 or q8_0 (half the memory of f16, logits a little different), f32 (default with float "
      "activations)")
      ->check(OneOf(kKvTypes));
  add("--head", options.head, "TYPE",
      "Output head: native (default), or q8, int8 with a scale per row made while loading: less to "
      "read per token, logits a little different")
      ->check(OneOf(kHeads));
  if (groups & kModelCompute)
    add("-t,--threads", options.threads, "N",
        "Threads (default: one per CPU); the result is the same with any number")
        ->check(CLI::Range(1, 1024));
  add("--opt", options.level, "LEVEL",
      "What is done for speed: none (scalar kernels, one operation at a time), basic (the CPU's "
      "best "
      "kernels) or aggressive (operations joined, the default); the result is the same")
      ->check(OneOf(kLevels));
  add("--for", options.preset, "GOAL",
      "speed: weights in huge pages; memory: weights stay in the cache file, short passes, a "
      "context of at most 2048")
      ->check(OneOf(kPresets));
  add("--cache", options.cache, "DIR",
      "Keep packed weights of large models here, to load them at once next time (default: "
      "$TERN_CACHE, else ~/.cache/tern)");
  const auto flag = [&](const char* name, bool& value, const char* help) {
    return app.add_flag(name, value, help)->group(kGroup);
  };
  flag("--no-cache", options.no_cache, "Neither use nor write kept weights")->excludes("--cache");
  flag("--check", options.check, "Compare kept weights with their checksums first");
  add("--device,--backend", options.backend, "NAME",
      "What computes: cuda (or cuda:1 and so on), cpu, reference, or auto, the default: the first "
      "GPU if there is one (tern info --devices)");
  add("--gpu-layers,--n-gpu-layers", options.gpu_layers, "N",
      "Layers whose weights stay on the GPU, or auto, the default: as many as fit; the others come "
      "from the host's memory in every pass, and the result is the same (-ngl works too)")
      ->check(CheckGpuLayers);
}

Result<std::string> ModelPath(const ModelOptions& options) {
  if (!options.model.empty()) return options.model;
  return FindBuiltinModel();
}

SourceOptions ToSourceOptions(const ModelOptions& options) {
  return {.i2s_layout = kLayouts.at(options.i2s_layout)};
}

TokenizerSourceOptions ToTokenizerOptions(const ModelOptions& options) {
  TokenizerSourceOptions result;
  if (!options.pre.empty()) result.pre_override = options.pre;
  return result;
}

namespace {

Result<SessionOptions> ToSessionOptions(const ModelOptions& options, const SessionNeeds& needs) {
  SessionOptions session;
  if (!options.preset.empty()) session = kPresets.at(options.preset)("");
  TERN_ASSIGN_OR_RETURN(session.model, ModelPath(options));
  session.source = ToSourceOptions(options);
  session.tokenizer = ToTokenizerOptions(options);
  session.need_tokenizer = needs.tokenizer;
  if (!options.activations.empty()) session.activations = kActivations.at(options.activations);
  if (!options.kv.empty()) session.kv = kKvTypes.at(options.kv);
  if (options.context > 0) session.context = options.context;
  if (needs.context > 0) session.context = needs.context;
  if (needs.max_rows > 0)
    session.max_rows =
        session.max_rows > 0 ? std::min(session.max_rows, needs.max_rows) : needs.max_rows;
  session.level = kLevels.at(options.level);
  session.cache.folder = CacheFolder(options);
  session.cache.check = options.check;
  session.head = kHeads.at(options.head);
  if (!options.cache.empty()) session.cache.min_bytes = 0;  // who names a folder wants a file in it
  session.logit_rows = needs.logit_rows;
  if (options.gpu_layers != "auto") session.gpu_layers = std::stoll(options.gpu_layers);
  return session;
}

// Opens with a backend made for the options, and a progress bar.
template <class Open>
auto WithProgress(const ModelOptions& options, SessionOptions& session, const Open& open)
    -> decltype(open(std::unique_ptr<Backend>())) {
  Progress progress("loading " + fs::path(session.model).filename().string());
  session.progress = [&](int64_t done, int64_t total) { progress.Update(done, total, "layers"); };
  TERN_ASSIGN_OR_RETURN(auto backend, CreateBackend(options.backend, {.threads = options.threads,
                                                                      .level = session.level}));
  if (session.gpu_layers && !backend->free_memory())
    PrintNote("--gpu-layers has no effect: the model is not on a GPU");
  return open(std::move(backend));
}

}  // namespace

Result<std::unique_ptr<Session>> OpenSession(const ModelOptions& options,
                                             const SessionNeeds& needs) {
  TERN_ASSIGN_OR_RETURN(SessionOptions session, ToSessionOptions(options, needs));
  TERN_ASSIGN_OR_RETURN(auto opened,
                        WithProgress(options, session, [&](std::unique_ptr<Backend> backend) {
                          if (needs.observer)
                            backend = CreateTraceBackend(std::move(backend), *needs.observer);
                          return Session::Open(std::move(backend), session);
                        }));
  PrintNotes(opened->model(), opened->tokenizer(), options.context);
  return opened;
}

namespace {

Result<std::unique_ptr<Engine>> OpenEngine(const ModelOptions& options, EngineOptions engine,
                                           OpObserver* observer) {
  TERN_ASSIGN_OR_RETURN(engine.session, ToSessionOptions(options, {}));
  TERN_ASSIGN_OR_RETURN(
      auto opened, WithProgress(options, engine.session, [&](std::unique_ptr<Backend> backend) {
        if (observer) backend = CreateTraceBackend(std::move(backend), *observer);
        return Engine::Create(std::move(backend), engine);
      }));
  PrintNotes(opened->model(), &opened->tokenizer(), options.context);
  return opened;
}

}  // namespace

Result<std::unique_ptr<Engine>> OpenEngine(const ModelOptions& options, EngineOptions engine) {
  return OpenEngine(options, std::move(engine), nullptr);
}

Result<std::unique_ptr<Engine>> OpenObservedEngine(const ModelOptions& options,
                                                   EngineOptions engine, OpObserver& observer) {
  return OpenEngine(options, std::move(engine), &observer);
}

}  // namespace tern::cli
