#include "common/ssh/session.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <libssh/callbacks.h>
#include <sys/mman.h>
#include <unistd.h>

#include <charconv>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/text.h"
#include "common/ssh/libssh.h"
#include "common/ssh/tcp.h"
#include "common/ssh/text.h"

namespace kcni::ssh {

namespace {

// The host may come from the cluster, and libssh hands it to a shell in ProxyCommand.
void check_host(const Target& target) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.:%_-";
  const auto& host = target.host;
  if (!host.empty() && host[0] != '-' && host.find_first_not_of(kAllowed) == std::string::npos) {
    return;
  }
  throw failed(fmt::format("{}: \"{}\" is no host to log into", target.name, one_line(host)));
}

std::string whom_for(const Target& target, const Options& options) {
  auto port = target.port ? target.port : options.port;
  std::string host = target.host;
  if (port && host.find(':') != std::string::npos) host = "[" + host + "]";
  return fmt::format("{}: ssh {}{}", target.name, host, port ? fmt::format(":{}", *port) : "");
}

// libssh reads files only. What comes first counts, as with ssh -o.
void parse_config_lines(ssh_session session, const std::string& whom,
                        const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  Fd file(memfd_create("ssh_config", MFD_CLOEXEC));
  auto text = fmt::format("{}\n", fmt::join(lines, "\n"));
  auto size = static_cast<ssize_t>(text.size());
  auto path = fmt::format("/proc/self/fd/{}", file.get());
  if (!file || write(file.get(), text.data(), text.size()) != size ||
      ssh_options_parse_config(session, path.c_str()) != SSH_OK) {
    throw failed(fmt::format("{}: --ssh-option: {}", whom, last_error(session)));
  }
}

// libssh passes over what it does not understand, and says so only in its log.
std::string complaint_about(const std::string& line) {
  static std::string complaint;
  complaint.clear();
  auto note = [](int level, const char*, const char* message, void*) {
    std::string_view text = message;
    auto says = [&](const char* what) { return text.find(what) != std::string_view::npos; };
    if (says("Unknown option")) complaint = "no such keyword in ssh_config(5)";
    if (says("Unsupported option")) complaint = "libssh does not support this keyword";
    if (level == SSH_LOG_WARN && complaint.empty()) complaint = one_line(text);
  };
  std::unique_ptr<ssh_session_struct, decltype(&ssh_free)> scratch(ssh_new(), &ssh_free);
  ssh_options_set(scratch.get(), SSH_OPTIONS_HOST, "localhost");
  ssh_set_log_callback(note);
  ssh_set_log_level(SSH_LOG_PROTOCOL);
  parse_config_lines(scratch.get(), "", {line});
  ssh_set_log_level(SSH_LOG_NOLOG);
  ssh_set_log_callback(nullptr);
  return complaint;
}

}  // namespace

std::uint16_t parse_port(const std::string& what, const std::string& text) {
  int port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port < 1 || port > 65535) {
    throw wrong_usage(fmt::format("invalid port \"{}\" in {}", text, what));
  }
  return static_cast<std::uint16_t>(port);
}

std::string config_line(const std::string& option) {
  auto equals = option.find('=');
  auto keyword = trim(option.substr(0, equals));
  auto value = equals == std::string::npos ? "" : trim(option.substr(equals + 1));
  bool one_line = option.find_first_of("\r\n") == std::string::npos;
  if (keyword.empty() || value.empty() || !one_line) {
    throw wrong_usage(
        fmt::format("--ssh-option \"{}\" is not KEYWORD=VALUE, as in ssh -o", printable(option)));
  }
  auto name = lower(keyword);
  if (name == "host" || name == "match" || name == "include") {
    throw wrong_usage(
        fmt::format("--ssh-option {}: not for {} blocks", printable(option), keyword));
  }
  if (name == "port") parse_port("--ssh-option " + printable(option), value);
  auto line = fmt::format("{} {}", keyword, value);
  auto complaint = complaint_about(line);
  if (!complaint.empty()) {
    throw wrong_usage(fmt::format("--ssh-option {}: {}", printable(option), complaint));
  }
  return line;
}

std::string take(char* text) {
  std::string copy = text ? text : "";
  ssh_string_free_char(text);
  return copy;
}

std::string option_of(ssh_session session, ssh_options_e which) {
  char* value = nullptr;
  return ssh_options_get(session, which, &value) == SSH_OK ? take(value) : "";
}

std::string last_error(ssh_session session) {
  return one_line(ssh_get_error(session));
}

void wait_io(ssh_session session, const Patience& patience, const std::string& doing) {
  int flags = ssh_get_poll_flags(session);
  short events = POLLIN;
  if (flags & SSH_WRITE_PENDING) events |= POLLOUT;
  patience.wait(ssh_get_fd(session), events, doing);
}

std::string quote(const std::string& word) {
  std::string quoted = "'";
  for (char c : word) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

Session::Session(const Target& target, const Options& options, Deadline deadline, StopFlag stop)
    : whom_(whom_for(target, options)), stop_(stop), session_(ssh_new(), &ssh_free) {
  check_host(target);
  Patience patience(whom_, deadline, stop);
  auto limited = patience.limited(options.connect_timeout);
  apply_options(target, options);
  ssh_set_blocking(session_.get(), 0);
  patience.interrupted_first(grace(), [&] {
    connect(limited);
    verify_host_key(session_.get(), whom_, options.accept_new);
    log_in(session_.get(), whom_, options, patience);
  });
}

Session::~Session() {
  if (session_) ssh_disconnect(session_.get());
}

// What is given beats the user's files, so it is set after they are read.
void Session::apply_options(const Target& target, const Options& options) {
  ssh_set_log_callback([](int, const char*, const char*, void*) {});  // this thread's
  auto set = [&](ssh_options_e option, const void* value) {
    if (ssh_options_set(session_.get(), option, value) != SSH_OK) {
      throw failed(fmt::format("{}: {}", whom_, last_error(session_.get())));
    }
  };
  set(SSH_OPTIONS_HOST, target.host.c_str());
  parse_config_lines(session_.get(), whom_, options.config);
  bool use_config = options.use_config;
  set(SSH_OPTIONS_PROCESS_CONFIG, &use_config);
  if (use_config && ssh_options_parse_config(session_.get(), nullptr) != SSH_OK) {
    throw failed(fmt::format("{}: ssh config: {}", whom_, last_error(session_.get())));
  }
  int strict = 1;
  set(SSH_OPTIONS_STRICTHOSTKEYCHECK, &strict);
  if (!options.user.empty()) set(SSH_OPTIONS_USER, options.user.c_str());
  if (auto port = target.port ? target.port : options.port) {
    unsigned value = *port;
    set(SSH_OPTIONS_PORT, &value);
  }
  if (!options.known_hosts.empty()) set(SSH_OPTIONS_KNOWNHOSTS, options.known_hosts.c_str());
  int quiet = SSH_LOG_NOLOG;  // whatever LogLevel says: stderr is ours
  set(SSH_OPTIONS_LOG_VERBOSITY, &quiet);
  // libssh reads ~/.ssh/config once more in ssh_connect() unless told that it is done.
  bool done = false;
  set(SSH_OPTIONS_PROCESS_CONFIG, &done);
}

Milliseconds Session::grace() const {
  bool proxied = !option_of(session_.get(), SSH_OPTIONS_PROXYCOMMAND).empty();
  return Milliseconds(proxied ? 300 : 0);
}

void Session::connect(const Patience& patience) {
  auto* session = session_.get();
  auto proxy = option_of(session, SSH_OPTIONS_PROXYCOMMAND);
  if (proxy.empty()) {
    unsigned port = 22;
    ssh_options_get_port(session, &port);
    auto socket = connect_tcp(whom_, option_of(session, SSH_OPTIONS_HOST),
                              static_cast<std::uint16_t>(port), patience);
    // libssh closes the one that it is given.
    socket_t fd = fcntl(socket.get(), F_DUPFD_CLOEXEC, 3);
    ssh_options_set(session, SSH_OPTIONS_FD, &fd);
  }
  int rc = until_done(session, patience, SSH_AGAIN, "waiting for the ssh server",
                      [&] { return ssh_connect(session); });
  if (rc == SSH_OK) return;
  auto hint = proxy.empty() ? ""
                            : fmt::format(
                                  "; ProxyJump or ProxyCommand of ssh_config: try `{} ...` "
                                  "by hand to see why",
                                  one_line(proxy.substr(0, proxy.find(' '))));
  throw failed(fmt::format("{}: {}{}", whom_, last_error(session), hint));
}

}  // namespace kcni::ssh
