// Session::run(): one command on one channel, its streams moved without blocking on any of them.
#include <fmt/format.h>
#include <libssh/server.h>  // ssh_send_keepalive

#include <array>

#include "common/base/error.h"
#include "common/ssh/libssh.h"
#include "common/ssh/session.h"
#include "common/ssh/text.h"

namespace kcni::ssh {

namespace {

constexpr const char* kDoing = "waiting for the node";

// One word for the login shell, whichever it is (csh and fish take these quotes alike). The
// script itself comes on stdin, so no length limit and no quoting touches it.
constexpr const char* kBootstrap =
    "sh -c 'LC_ALL=C; export LC_ALL; if [ \"$(id -u)\" = 0 ]; then exec sh -s -- \"$@\"; "
    "else exec sudo -n sh -s -- \"$@\"; fi' sh";

std::string command_line(const std::vector<std::string>& args) {
  std::string command = kBootstrap;
  for (const auto& arg : args) command += " " + quote(arg);
  return command;
}

// sudo complains before the script runs: nothing but a greeting can be on stdout then.
std::string sudo_problem(const Result& result) {
  auto says = [&](const char* what) { return result.err.find(what) != std::string::npos; };
  if (result.status == 0 || !says("sudo")) return "";
  if (says("must have a tty")) {
    return "sudo wants a terminal; take requiretty for this user out of sudoers, or log in as root "
           "(--ssh-user root)";
  }
  if (says("password is required") || says("terminal is required")) {
    return "sudo wants a password; allow it without (NOPASSWD in sudoers) or log in as root "
           "(--ssh-user root)";
  }
  if (result.status == 127 && says("not found")) {
    return "not root, and there is no sudo; log in as root (--ssh-user root)";
  }
  if (says("in the sudoers") || says("not allowed to") || says("may not run")) {
    return "this user may not use sudo; log in as another (--ssh-user)";
  }
  return result.out.empty() ? last_line(result.err) : "";
}

class Channel {
 public:
  Channel(ssh_session session, const std::string& whom, const Patience& patience)
      : session_(session),
        whom_(whom),
        patience_(patience),
        channel_(ssh_channel_new(session), &ssh_channel_free) {
    must([&] { return ssh_channel_open_session(channel_.get()); });
  }

  Result run(const std::string& command, const std::string& input,
             const std::function<void(std::string_view)>& on_line) {
    must([&] { return ssh_channel_request_exec(channel_.get(), command.c_str()); });
    Result result;
    std::string_view rest = input;
    bool eof_sent = false;
    std::size_t told = 0;
    while (!finished()) {
      patience_.check(kDoing);  // a node that talks without end leaves no time for pause()
      bool moved = write(rest);
      if (rest.empty() && !eof_sent) {
        ssh_channel_send_eof(channel_.get());
        eof_sent = true;
      }
      moved |= read(0, result.out, result.truncated);
      moved |= read(1, result.err, result.truncated);
      tell_lines(result.out, told, on_line);
      if (!moved) pause();
    }
    result.status = exit_status();
    return result;
  }

 private:
  template <typename Call>
  void must(Call call) {
    int rc = until_done(session_, patience_, SSH_AGAIN, kDoing, call);
    if (rc != SSH_OK) throw failed(fmt::format("{}: {}", whom_, last_error(session_)));
  }

  // Both streams read to their end, or the connection gone.
  bool finished() {
    if (!ssh_is_connected(session_)) throw lost();
    return ssh_channel_is_eof(channel_.get()) && ssh_channel_poll(channel_.get(), 0) <= 0 &&
           ssh_channel_poll(channel_.get(), 1) <= 0;
  }

  bool write(std::string_view& rest) {
    if (rest.empty()) return false;
    auto size = static_cast<std::uint32_t>(std::min<std::size_t>(rest.size(), 16'384));
    int written = ssh_channel_write(channel_.get(), rest.data(), size);
    // The other side no longer reads (sudo refused): what it says tells why.
    if (written < 0) rest = {};
    if (written > 0) rest.remove_prefix(static_cast<std::size_t>(written));
    return written > 0;
  }

  bool read(int is_stderr, std::string& text, bool& truncated) {
    std::array<char, 16'384> buffer;
    if (ssh_channel_poll(channel_.get(), is_stderr) <= 0) return false;
    int size =
        ssh_channel_read_nonblocking(channel_.get(), buffer.data(), buffer.size(), is_stderr);
    if (size <= 0) return false;
    auto room = std::min(kMaxOutput - text.size(), static_cast<std::size_t>(size));
    text.append(buffer.data(), room);
    truncated |= room < static_cast<std::size_t>(size);
    return true;
  }

  static void tell_lines(std::string_view text, std::size_t& told,
                         const std::function<void(std::string_view)>& on_line) {
    for (auto end = text.find('\n', told); end != text.npos; end = text.find('\n', told)) {
      if (on_line) on_line(text.substr(told, end - told));
      told = end + 1;
    }
  }

  void pause() {
    wait_io(session_, patience_, kDoing);
    if (Clock::now() < next_keepalive_) return;
    next_keepalive_ = Clock::now() + kKeepalive;
    ssh_send_keepalive(session_);
  }

  // The exit status comes after the end of the streams; -1 with a closed channel is a signal's.
  int exit_status() {
    for (;;) {
      int status = ssh_channel_get_exit_status(channel_.get());
      if (status >= 0 || ssh_channel_is_closed(channel_.get())) return status;
      if (!ssh_is_connected(session_)) throw lost();
      wait_io(session_, patience_, kDoing);
    }
  }

  Error lost() const { return failed(fmt::format("{}: connection lost", whom_)); }

  static constexpr std::chrono::seconds kKeepalive{10};

  ssh_session session_;
  const std::string& whom_;
  const Patience& patience_;
  std::unique_ptr<ssh_channel_struct, decltype(&ssh_channel_free)> channel_;
  Clock::time_point next_keepalive_ = Clock::now() + kKeepalive;
};

}  // namespace

Result Session::run(const std::string& script, const std::vector<std::string>& args,
                    Deadline deadline, const std::function<void(std::string_view)>& on_line) {
  Patience patience(whom_, deadline, stop_);
  auto result = patience.interrupted_first(grace(), [&] {
    return Channel(session_.get(), whom_, patience).run(command_line(args), script, on_line);
  });
  auto problem = sudo_problem(result);
  if (!problem.empty()) throw failed(fmt::format("{}: {}", whom_, problem));
  return result;
}

}  // namespace kcni::ssh
