// One login on one machine.
#pragma once

#include <libssh/libssh.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/ssh/options.h"
#include "common/ssh/patience.h"

namespace kcni::ssh {

/// What a script on the other side printed, at most kMaxOutput bytes of each stream (the rest is
/// read and dropped), and how it ended.
struct Result {
  int status = -1;  ///< the exit status; -1 when a signal killed it
  std::string out, err;
  bool truncated = false;
};

inline constexpr std::size_t kMaxOutput = std::size_t{1} << 20;

/// The owner of an ssh_session. SIGPIPE must be ignored (http::signal_descriptor() sees to it). Not
/// for use by two threads at once; one thread may use one session after another. Everything blocks,
/// and ends early when the deadline passes (TimedOut) or the stop flag is raised (Interrupted).
/// Every other failure is an Error (kFailed) with one line that begins "node/w1: ssh 10.0.0.1:" and
/// says what to do where we know.
class Session {
 public:
  /// Connects, verifies the host key, logs in: keys given, the agent's, then the usual ones. A host
  /// key that is not in known_hosts is refused unless accept_new; a changed one always.
  Session(const Target& target, const Options& options, Deadline deadline, StopFlag stop = nullptr);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Feeds `script` to `sh -s -- ARGS` on the other side, by `sudo -n` when we are not root there.
  /// A login shell may be any; the arguments are quoted. Any exit status is a result; that sudo is
  /// missing or wants a password is an Error, as is a connection that is lost on the way. on_line,
  /// if given, hears each line of the output as it comes.
  Result run(const std::string& script, const std::vector<std::string>& args, Deadline deadline,
             const std::function<void(std::string_view)>& on_line = {});

  /// "node/w1: ssh 10.0.0.1": how messages begin.
  const std::string& whom() const { return whom_; }

 private:
  void apply_options(const Target& target, const Options& options);
  void connect(const Patience& patience);
  /// How much later than its proxy we may hear of Ctrl-C.
  Milliseconds grace() const;

  std::string whom_;
  StopFlag stop_;
  std::unique_ptr<ssh_session_struct, decltype(&ssh_free)> session_;
};

/// A word for the other side's shell, whatever is in it.
std::string quote(const std::string& word);

}  // namespace kcni::ssh
