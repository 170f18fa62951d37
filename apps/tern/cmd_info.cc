// tern info: what a model file is, and whether tern can run it.
#include <memory>
#include <string>

#include "command.h"
#include "human.h"
#include "info_devices.h"
#include "info_plan.h"
#include "json_lines.h"
#include "model_report.h"

namespace tern::cli {
namespace {

struct Options {
  ModelOptions model;
  bool tensors = false;
  bool kernels = false;
  bool plan = false;
  bool devices = false;
  bool json = false;
};

template <class... Args>
void Row(std::string_view label, fmt::format_string<Args...> format, Args&&... args) {
  fmt::print("{:<14}{}\n", label, fmt::format(format, std::forward<Args>(args)...));
}

void PrintConfig(const ModelConfig& c) {
  Row("shape", "{} layers of width {}, feed-forward {}, vocabulary {}", c.layers, c.dim, c.ffn,
      c.vocab);
  Row("attention", "{} heads of {}, {} for keys and values, RoPE base {:g}", c.heads.heads,
      c.heads.head_dim, c.heads.kv_heads, c.rope.base);
  Row("context", "{} tokens", c.context);
  Row("activations", "{}",
      c.trained_with == ActivationType::kInt8 ? "trained with int8" : "trained with float");
}

void PrintTypes(const ModelReport& report) {
  uint64_t ternary = 0, total = 0;
  for (const TypeReport& type : report.types) {
    total += type.values;
    if (type.ternary) ternary += type.values;
  }
  Row("parameters", "{}, {} of them ternary", HumanCount(total), HumanCount(ternary));
  std::string_view label = "tensors";
  for (const TypeReport& type : report.types) {
    Row(label, "{:<16} {:>5} x {:>9} values {:>9} {:>7.3f} bits each{}{}", type.type, type.tensors,
        HumanCount(type.values), HumanBytes(type.bytes), type.BitsPerWeight(),
        type.scales.empty() ? "" : ", scales: ", type.scales);
    label = "";
  }
}

void PrintTokenizer(const TokenizerReport& t) {
  Row("tokenizer", "{}, {} tokens{}{}", t.kind, t.tokens, t.pre.empty() ? "" : ", pre-tokenizer ",
      t.pre);
  const auto id = [](const std::optional<TokenId>& token) {
    return token ? std::to_string(*token) : std::string("none");
  };
  Row("", "bos {}{}, eos {}, eot {}", id(t.bos), t.add_bos ? " (added)" : "", id(t.eos), id(t.eot));
  Row("chat format", "{}", t.chat);
  if (!t.note.empty()) Row("note", "{}", t.note);
}

void PrintTensors(const std::vector<TensorInfo>& tensors) {
  size_t width = 0;
  for (const TensorInfo& tensor : tensors) width = std::max(width, tensor.name.size());
  fmt::print("\n{:<{}}  {:<10} {:>12} {:>12}  {}\n", "tensor", width, "type", "bytes", "offset",
             "shape");
  for (const TensorInfo& tensor : tensors)
    fmt::print("{:<{}}  {:<10} {:>12} {:>12}  {}\n", tensor.name, width, tensor.type, tensor.bytes,
               tensor.offset, fmt::join(tensor.shape, " x "));
}

void PrintReport(const ModelReport& report, bool tensors) {
  Row("file", "{}", report.path);
  Row("format", "{}, {}", report.format, HumanBytes(report.file_bytes));
  if (!report.name.empty()) Row("name", "{}", report.name);
  if (!report.architecture.empty()) Row("architecture", "{}", report.architecture);
  if (report.config) PrintConfig(*report.config);
  if (!report.types.empty()) PrintTypes(report);
  if (report.tokenizer) PrintTokenizer(*report.tokenizer);
  if (const auto& m = report.memory)
    Row("memory", "about {}: weights {}, KV cache {} for {} tokens",
        HumanBytes(m->weights + m->kv_cache), HumanBytes(m->weights), HumanBytes(m->kv_cache),
        m->context);
  if (report.obstacle.empty())
    Row("tern runs it", "yes");
  else
    Row("tern runs it", "no: {}", report.obstacle);
  if (tensors && !report.tensors.empty()) PrintTensors(report.tensors);
}

Result<int> Info(const Options& options) {
  if (options.devices) return PrintDevices(options.json);
  if (options.kernels) return PrintKernels(options.json);
  if (options.plan) return PrintPlan(options.model, options.json);
  TERN_ASSIGN_OR_RETURN(const ModelReport report, ReportModel(options.model));
  if (options.json)
    PrintJsonLine(ToJson(report, options.tensors));
  else
    PrintReport(report, options.tensors);
  return kExitOk;
}

Action Define(CLI::App& app) {
  auto options = std::make_shared<Options>();
  AddModelOptions(app, options->model,
                  kModelArgument | kModelLayout | kModelTokenizer | kModelContext | kModelCompute);
  app.add_flag("--tensors", options->tensors, "List every tensor too");
  auto* kernels =
      app.add_flag("--kernels", options->kernels,
                   "List the kernels of this build instead: which one runs for how many "
                   "rows, and why the others don't");
  app.add_flag("--devices", options->devices,
               "List what models can run on instead: the names that --device takes")
      ->excludes(kernels);
  app.add_flag("--plan", options->plan,
               "Load the model and print how it will be run instead: kernels, threads, joined "
               "operations, where the weights are")
      ->excludes(kernels);
  app.add_flag("--json", options->json, "Print a line of JSON");
  return [options] { return Info(*options); };
}

}  // namespace

const Command kInfoCommand = {"info", "What a model file is, and whether tern can run it",
                              "  tern info model.gguf\n"
                              "  tern info model.gguf --tensors --json\n"
                              "  tern info model.gguf --plan --opt basic\n"
                              "  tern info --kernels\n"
                              "  tern info --devices",
                              Define};

}  // namespace tern::cli
