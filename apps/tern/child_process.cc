#include "child_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>

extern char** environ;

namespace tern::cli {
namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

// Both outputs go to files without a name: a pipe could fill up while the other one is read.
File Scratch() { return {std::tmpfile(), std::fclose}; }

std::string ReadAll(std::FILE* file) {
  std::string text;
  std::array<char, 4096> part;
  std::rewind(file);
  while (const size_t n = std::fread(part.data(), 1, part.size(), file))
    text.append(part.data(), n);
  return text;
}

std::string LastLine(std::string text) {
  const size_t end = text.find_last_not_of(" \t\r\n");
  if (end == std::string::npos) return "it said nothing";
  text.resize(end + 1);
  return text.substr(text.rfind('\n') + 1);
}

std::vector<std::string> Environment(const std::vector<std::string>& changes) {
  std::vector<std::string> all = changes;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('=') + 1);
    const bool changed =
        std::any_of(changes.begin(), changes.end(),
                    [name](const std::string& change) { return change.starts_with(name); });
    if (!changed) all.emplace_back(text);
  }
  return all;
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

Result<pid_t> Start(const std::vector<std::string>& command, const std::vector<std::string>& env,
                    std::FILE* out, std::FILE* err) {
  const std::vector<char*> argv = Pointers(command);
  const std::vector<std::string> environment = Environment(env);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, fileno(out), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(err), STDERR_FILENO);
  pid_t pid = 0;
  const int error =
      posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), Pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0)
    return Fail(Code::kNotFound, "{}: can't be started: {}", command[0], std::strerror(error));
  return pid;
}

}  // namespace

Result<std::string> RunAndRead(const std::vector<std::string>& command,
                               const std::vector<std::string>& env, ChildUsage* usage) {
  const File out = Scratch(), err = Scratch();
  if (!out || !err)
    return Fail(Code::kResourceExhausted, "no temporary file: {}", std::strerror(errno));
  const auto begin = std::chrono::steady_clock::now();
  TERN_ASSIGN_OR_RETURN(const pid_t pid, Start(command, env, out.get(), err.get()));
  int status = 0;
  rusage used{};
  while (wait4(pid, &status, 0, &used) < 0)
    if (errno != EINTR)
      return Fail(Code::kInternal, "{}: can't be waited for: {}", command[0], std::strerror(errno));
  if (usage != nullptr) {
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
    const auto seconds = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    };
    constexpr double kMbOfKib = 1024e-6;
    *usage = {wall.count(), seconds(used.ru_utime) + seconds(used.ru_stime),
              static_cast<double>(used.ru_maxrss) * kMbOfKib};
  }
  if (WIFSIGNALED(status))
    return Fail(Code::kInternal, "{}: died of signal {}: {}", command[0], WTERMSIG(status),
                LastLine(ReadAll(err.get())));
  if (WEXITSTATUS(status) != 0)
    return Fail(Code::kInternal, "{}: exit code {}: {}", command[0], WEXITSTATUS(status),
                LastLine(ReadAll(err.get())));
  return ReadAll(out.get());
}

}  // namespace tern::cli
