#include "common/base/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/base/error.h"
#include "common/base/fd.h"

extern char** environ;

namespace kcni {

namespace {

/// The one owner of a child process: reaped at the latest when this goes, killed first if need be.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    kill_now();
    wait();
  }

  void kill_now() const { kill(pid_, SIGKILL); }

  /// The status that waitpid() gives.
  int wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return status;
  }

 private:
  pid_t pid_;
};

/// What posix_spawn wants to know about descriptors and signals.
class SpawnSetup {
 public:
  SpawnSetup(bool inherit_stdin, int output) {
    posix_spawn_file_actions_init(&actions_);
    if (!inherit_stdin) {
      posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    }
    posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigset_t ours;
    sigemptyset(&none);
    sigemptyset(&ours);
    for (int signal : {SIGINT, SIGTERM, SIGPIPE}) sigaddset(&ours, signal);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &ours);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

struct Pipe {
  Fd reading;
  Fd writing;
};

Pipe make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    throw failed(fmt::format("cannot make a pipe: {}", std::generic_category().message(errno)));
  }
  return {Fd(ends[0]), Fd(ends[1])};
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (auto& string : strings) result.push_back(string.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> own_environment() {
  std::vector<std::string> result;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    result.emplace_back(*entry);
  }
  return result;
}

std::string_view name_in(std::string_view entry) {
  return entry.substr(0, entry.find('='));
}

}  // namespace

std::vector<std::string> merged_environment(const std::vector<std::string>& inherited,
                                            const std::vector<std::string>& changes) {
  auto result = inherited;
  for (const auto& change : changes) {
    std::erase_if(result, [&](const auto& entry) { return name_in(entry) == name_in(change); });
    result.push_back(change);
  }
  return result;
}

ProcessResult run(const Command& command) {
  auto arguments = command.argv;
  auto environment = merged_environment(own_environment(), command.env);
  auto pipe = make_pipe();
  const SpawnSetup setup(command.inherit_stdin, pipe.writing.get());
  ProcessResult result;
  pid_t pid = 0;
  result.start_error =
      posix_spawnp(&pid, arguments.front().c_str(), setup.actions(), setup.attributes(),
                   pointers(arguments).data(), pointers(environment).data());
  if (result.start_error != 0) return result;
  Child child(pid);
  pipe.writing.reset();
  auto content = read_all(pipe.reading.get(), command.max_output);
  result.output_too_long = content.too_long;
  result.output = std::move(content.text);
  if (content.too_long) child.kill_now();
  const int status = child.wait();
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  return result;
}

}  // namespace kcni
