// tern profile: one run taken apart.
#include <memory>

#include "child_process.h"
#include "command.h"
#include "interrupt.h"
#include "model_options.h"
#include "output_folder.h"
#include "profile/pictures.h"
#include "profile/summary.h"

namespace tern::cli {
namespace {

struct ProfileCommandOptions {
  ModelOptions model;
  ProfileOptions run;
  int64_t context = 0;
  std::string output = "md", folder;
  bool skip_limits = false;
};

// With librsvg's program, where it is installed.
void WritePng(const OutputFolder& folder) {
  const auto made = RunAndRead({"rsvg-convert", "--zoom", "2", "-o", folder.PathOf("roofline.png"),
                                folder.PathOf("roofline.svg")});
  if (made) return;
  PrintNote(made.error().code == Code::kNotFound
                ? "no roofline.png: rsvg-convert (Debian: librsvg2-bin) isn't installed"
                : "no roofline.png: " + made.error().message);
}

Status WriteFolder(const Profile& profile, const std::string& path) {
  TERN_ASSIGN_OR_RETURN(const OutputFolder folder, OutputFolder::Open(path));
  TERN_TRY(folder.Write("profile.md", ProfileText(profile)));
  TERN_TRY(folder.Write("profile.json", ProfileJson(profile)));
  TERN_TRY(folder.Write("roofline.svg", RooflineSvg(profile, SvgUse::kFile)));
  TERN_TRY(folder.Write("flame.svg", FlameSvg(profile)));
  TERN_TRY(folder.Write("trace.json", ChromeTrace(profile)));
  WritePng(folder);
  PrintNote(
      fmt::format("{}: profile.md, profile.json, roofline.svg, flame.svg, trace.json (for "
                  "ui.perfetto.dev)",
                  path));
  return {};
}

Result<int> RunCommand(const ProfileCommandOptions& options) {
  if (options.run.prompt + options.run.generate == 0)
    return UsageError("-p and -n are both 0: nothing to profile");
  // Before the work, not after it.
  if (!options.folder.empty()) TERN_TRY(OutputFolder::Open(options.folder));
  CatchInterrupts(OnSecondInterrupt::kExit);
  OpRecorder recorder;
  const int64_t positions = options.run.depth + std::max(options.run.prompt, options.run.generate);
  TERN_ASSIGN_OR_RETURN(
      const std::unique_ptr<Session> session,
      OpenSession(options.model,
                  {.tokenizer = false,
                   .context = std::max({options.context, positions, options.run.sequences}),
                   .logit_rows = options.run.sequences,
                   .observer = &recorder}));
  ProfileLimits limits;
  if (!options.skip_limits && ComputesOnCpus(session->backend())) {
    PrintNote("measuring the limits of the machine (--no-limits skips this)");
    limits = MeasureProfileLimits(*session, options.run);
  }
  TERN_ASSIGN_OR_RETURN(const Profile profile,
                        RunProfile(*session, recorder, SubjectOf(*session, {}), limits, options.run,
                                   [](const std::string& what) {
                                     PrintNote(what);
                                     return !Interrupted();
                                   }));
  fmt::print("{}", options.output == "json" ? ProfileJson(profile) : ProfileText(profile));
  if (!options.folder.empty()) TERN_TRY(WriteFolder(profile, options.folder));
  return kExitOk;
}

Action Define(CLI::App& app) {
  auto options = std::make_shared<ProfileCommandOptions>();
  const auto count = CLI::Range(int64_t{0}, int64_t{1} << 20);
  const auto add = [&app](const char* name, auto& value, const char* text, const char* help) {
    return app.add_option(name, value, help)->option_text(text);
  };
  add("-p,--n-prompt", options->run.prompt, "N", "Tokens of the prefill; 0: none (default 512)")
      ->check(count);
  add("-n,--n-gen", options->run.generate, "N", "Tokens that are decoded; 0: none (default 64)")
      ->check(count);
  add("-d,--n-depth", options->run.depth, "N",
      "Tokens in the cache before each of the two (default 0)")
      ->check(count);
  add("--npl", options->run.sequences, "N", "Sequences decoded at once (default 1; -npl works too)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 12));
  add("-r,--repetitions", options->run.repetitions, "N",
      "Runs of each (default 3); the fastest is shown, and all must give the same bits")
      ->check(CLI::Range(1, 10000));
  add("-c,--ctx", options->context, "N",
      "Tokens the cache holds at least (default: as many as the run needs)")
      ->check(count);
  add("--out", options->folder, "DIR",
      "Also write profile.md and .json, a roofline plot, a flame graph and a trace for Chrome and "
      "Perfetto there");
  add("-o,--output", options->output, "FORMAT", "md (default) or json")
      ->check(CLI::IsMember({"md", "json"}));
  app.add_flag("--no-limits", options->skip_limits,
               "Don't measure the machine first: no percentages, no bound");
  AddModelOptions(app, options->model, kModelName | kModelLayout | kModelCompute);
  return [options] { return RunCommand(*options); };
}

}  // namespace

const Command kProfileCommand = {"profile",
                                 "One run taken apart: time, bytes and limits of every operation",
                                 "  tern profile\n"
                                 "  tern profile -m model.gguf -p 512 -n 64 --out profile\n"
                                 "  tern profile -m model.gguf -p 0 -n 32 -d 4096 -npl 8 -o json",
                                 Define};

}  // namespace tern::cli
