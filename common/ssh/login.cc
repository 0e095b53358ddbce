#include <fmt/format.h>
#include <libssh/callbacks.h>

#include <memory>
#include <utility>

#include "common/base/error.h"
#include "common/ssh/libssh.h"

namespace kcni::ssh {

namespace {

using Key = std::unique_ptr<ssh_key_struct, decltype(&ssh_key_free)>;

constexpr const char* kDoing = "logging in";

/// One login: tries keys one after the other and remembers what to tell when none fits.
class Login {
 public:
  Login(ssh_session session, const std::string& whom, const Patience& patience)
      : session_(session), whom_(whom), patience_(patience) {
    ssh_callbacks_init(&callbacks_);
    callbacks_.userdata = this;
    callbacks_.auth_function = &Login::no_passphrase;
    ssh_set_callbacks(session_, &callbacks_);
  }
  ~Login() { ssh_set_callbacks(session_, nullptr); }
  Login(const Login&) = delete;
  Login& operator=(const Login&) = delete;

  bool with_nothing() {
    return accepted([&] { return ssh_userauth_none(session_, nullptr); });
  }
  bool with_key(const std::string& file) {
    Key key = load(file);
    if (!key) return false;
    return accepted([&] { return ssh_userauth_publickey(session_, nullptr, key.get()); });
  }
  bool with_agent() {
    return accepted([&] { return ssh_userauth_agent(session_, nullptr); });
  }
  /// The agent's keys, those of ~/.ssh/config and the usual ones.
  bool with_usual_keys() {
    return accepted([&] { return ssh_userauth_publickey_auto(session_, nullptr, nullptr); });
  }

  Error denied() const {
    char* user = nullptr;
    ssh_options_get(session_, SSH_OPTIONS_USER, &user);
    std::string name = user ? user : "?";
    ssh_string_free_char(user);
    return failed(
        fmt::format("{}: permission denied for user {} ({}){}", whom_, name, methods(), hint_));
  }

 private:
  // Called when a key has a passphrase. Asking for it is left to the agent.
  static int no_passphrase(const char*, char*, std::size_t, int, int, void* self) {
    auto& hint = static_cast<Login*>(self)->hint_;
    if (hint.empty()) hint = "; a key has a passphrase: give it to the agent with `ssh-add FILE`";
    return -1;
  }

  Key load(const std::string& file) {
    ssh_key key = nullptr;
    std::string before = std::exchange(hint_, "");
    int rc = ssh_pki_import_privkey_file(file.c_str(), nullptr, &Login::no_passphrase, this, &key);
    if (rc == SSH_OK) {
      hint_ = before;
    } else if (!hint_.empty()) {
      hint_ = fmt::format("; {0} has a passphrase: give it to the agent with `ssh-add {0}`", file);
    } else {
      throw failed(fmt::format("{}: cannot read the private key {}", whom_, file));
    }
    return {key, &ssh_key_free};
  }

  template <typename Call>
  bool accepted(Call call) {
    int rc = until_done(session_, patience_, SSH_AUTH_AGAIN, kDoing, call);
    if (rc == SSH_AUTH_ERROR) throw failed(fmt::format("{}: {}", whom_, last_error(session_)));
    if (rc == SSH_AUTH_PARTIAL) {
      throw failed(fmt::format("{}: the server wants more than a key ({})", whom_, methods()));
    }
    return rc == SSH_AUTH_SUCCESS;
  }

  std::string methods() const {
    int list = ssh_userauth_list(session_, nullptr);
    std::string names;
    auto add = [&](int method, const char* name) {
      if (list & method) names += (names.empty() ? "" : ",") + std::string(name);
    };
    add(SSH_AUTH_METHOD_PUBLICKEY, "publickey");
    add(SSH_AUTH_METHOD_PASSWORD, "password");
    add(SSH_AUTH_METHOD_INTERACTIVE, "keyboard-interactive");
    add(SSH_AUTH_METHOD_HOSTBASED, "hostbased");
    return names.empty() ? "no method offered" : names;
  }

  ssh_session session_;
  const std::string& whom_;
  const Patience& patience_;
  ssh_callbacks_struct callbacks_{};
  std::string hint_;
};

}  // namespace

void log_in(ssh_session session, const std::string& whom, const Options& options,
            const Patience& patience) {
  Login login(session, whom, patience);
  if (login.with_nothing()) return;  // which also asks what the server takes
  for (const auto& file : options.identities) {
    if (login.with_key(file)) return;
  }
  // Keys that were given are meant: the agent may hold them unlocked, the usual ones are not asked,
  // for a server hangs up after a few.
  bool in = options.identities.empty() ? login.with_usual_keys() : login.with_agent();
  if (!in) throw login.denied();
}

}  // namespace kcni::ssh
