// The frame of a command: flags shared with kubectl, the client, output, errors, exit codes.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "common/base/deadline.h"
#include "common/cli/error_line.h"
#include "common/cli/flags.h"
#include "common/cli/live_lines.h"
#include "common/cli/results.h"
#include "common/http/loop.h"
#include "common/kube/client.h"

namespace kcni::cli {

enum class DryRun { kNone, kClient, kServer };

/// What a command's run() is given. Nothing here is global, so that a test can make one.
class Context {
 public:
  Context(Flags flags, std::string program, std::ostream& out, std::ostream& err);
  ~Context();

  const Flags& flags() const { return flags_; }
  const std::vector<std::string>& args() const { return flags_.args(); }
  std::ostream& out() { return out_; }
  /// "kubectl cni label": as the user calls it.
  const std::string& program() const { return program_; }

  /// Made at the first call. Throws Error when the kubeconfig is no good.
  kube::Client& client();
  /// -n, else the kubeconfig's namespace.
  const kube::ClientConfig& config();
  http::Loop& loop() { return loop_; }

  DryRun dry_run() const { return dry_run_; }
  /// --timeout, from the start of the command; 0 means no limit.
  Deadline deadline() const { return deadline_; }
  std::string timeout_text() const;
  /// --key: the label key, default "cni".
  std::string key() const;

  /// Result lines and -o.
  Results& results() { return results_; }
  const Results& results() const { return results_; }
  /// What is being worked on, on a terminal; lines of the others are printed above.
  LiveLines& live() { return live_; }

  /// "warning: …" on stderr, one line.
  void warn(const std::string& message);
  /// A line of progress on stderr.
  void note(const std::string& message);
  /// What is waited for now, whenever that changes: "waiting: …" on stderr, the newest at most
  /// every few seconds, and not at all when the wait is over within one.
  void waiting(const std::string& what);
  /// Says that the command is alive, and its last word once more, after 30 s without any; and soon
  /// after Ctrl-C that something is still finished. The loop calls it by itself; to be called about
  /// every second by whoever waits in another way.
  void remind();
  /// "error: …" for one object of many; the command then ends with that error's code.
  void report(const std::exception& error);
  /// The same without a line, when a result line has said it.
  void fail_quietly(ExitStatus status);
  /// The code to end with after report()s: the gravest (refused, blocked, failed in this order).
  int exit_code() const { return exit_code_; }

 private:
  Flags flags_;
  std::string program_;
  std::ostream& out_;
  std::ostream& err_;
  http::Loop loop_;
  void say(const std::string& line);
  void remind_of_interrupt(Clock::time_point now);

  DryRun dry_run_;
  Deadline deadline_;
  Clock::time_point begun_ = Clock::now();
  Clock::time_point last_told_ = begun_;
  Clock::time_point last_wait_told_{};
  std::optional<Clock::time_point> interrupt_seen_;
  bool interrupt_told_ = false;
  std::string last_word_;
  std::string waiting_for_;  ///< not told yet
  LiveLines live_;
  Results results_;
  int exit_code_ = 0;
  std::unique_ptr<kube::ClientConfig> config_;
  std::unique_ptr<kube::Client> client_;
};

/// What differs from command to command.
struct Command {
  std::string name;         ///< "label"
  std::string usage;        ///< "(NODE… | -l SELECTOR | --all) --to VALUE"
  std::string summary;      ///< one line
  std::string description;  ///< a few lines
  std::string examples;     ///< with "{}" where the program's name goes
  std::string default_timeout = "0";
  std::function<void(cxxopts::OptionAdder&)> add_flags;
  /// Returns nothing: failures are thrown or report()ed.
  std::function<void(Context&)> run;
};

/// Throws Error (kUsage) for a bad selector that would otherwise reach the server unparsed, or when
/// the combination of names, -l and --all is wrong: exactly one of the three.
void require_one_selection(const Context& context, const std::string& noun);

/// main() of every command: parses, runs, prints errors, returns the exit code.
int run_main(const Command& command, int argc, char** argv);

}  // namespace kcni::cli
