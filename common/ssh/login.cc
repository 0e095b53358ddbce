#include <fmt/format.h>
#include <libssh/callbacks.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/ssh/libssh.h"

namespace kcni::ssh {

namespace {

using Key = std::unique_ptr<ssh_key_struct, decltype(&ssh_key_free)>;

constexpr const char* kDoing = "logging in";

// As a shell does, and ssh -i.
std::string expand_home(const std::string& file) {
  const char* home = std::getenv("HOME");
  return file.starts_with("~/") && home ? home + file.substr(1) : file;
}

/// One login: tries keys one after the other and remembers what to tell when none fits.
class Login {
 public:
  Login(ssh_session session, const std::string& whom, const Options& options,
        const Patience& patience)
      : session_(session),
        whom_(whom),
        options_(options),
        unhurried_(patience),
        patience_(patience.limited(options.connect_timeout)) {
    ssh_callbacks_init(&callbacks_);
    callbacks_.userdata = this;
    callbacks_.auth_function = &Login::passphrase_wanted;
    ssh_set_callbacks(session_, &callbacks_);
  }
  // libssh takes no null for "none": it would go on calling into this object.
  ~Login() {
    static ssh_callbacks_struct none = [] {
      ssh_callbacks_struct empty{};
      ssh_callbacks_init(&empty);
      return empty;
    }();
    ssh_set_callbacks(session_, &none);
  }
  Login(const Login&) = delete;
  Login& operator=(const Login&) = delete;

  bool with_nothing() {
    return accepted([&] { return ssh_userauth_none(session_, nullptr); });
  }

  /// The keys that were given, those with a passphrase after the agent, which may hold them open.
  bool with_given_keys() {
    std::vector<std::string> locked;
    for (const auto& given : options_.identities) {
      auto file = expand_home(given);
      if (auto key = load(file, nullptr)) {
        if (with_key(key)) return true;
      } else {
        locked.push_back(file);
      }
    }
    if (accepted([&] { return ssh_userauth_agent(session_, nullptr); })) return true;
    return std::any_of(locked.begin(), locked.end(),
                       [&](const std::string& file) { return with_locked_key(file); });
  }

  /// The agent's keys, those of ~/.ssh/config and the usual ones.
  bool with_usual_keys() {
    return accepted([&] { return ssh_userauth_publickey_auto(session_, nullptr, nullptr); });
  }

  Error denied() const {
    auto name = option_of(session_, SSH_OPTIONS_USER);
    auto hint = hint_.empty() ? "; give its --ssh-key, or another --ssh-user" : hint_;
    return failed(
        fmt::format("{}: permission denied for user {} ({}){}", whom_, name, methods(), hint));
  }

 private:
  bool with_key(const Key& key) {
    return accepted([&] { return ssh_userauth_publickey(session_, nullptr, key.get()); });
  }

  bool with_locked_key(const std::string& file) {
    auto opened = open(file);
    return opened.key && with_key(opened.key);
  }

  struct Opened {
    Passphrase passphrase;
    Key key{nullptr, &ssh_key_free};
  };

  // Asks until the key opens: a passphrase is not wrong because the server refuses the key.
  Opened open(const std::string& file) {
    Opened opened;
    while (!opened.key && (opened.passphrase = ask(file, std::move(opened.passphrase)))) {
      opened.key = load(file, opened.passphrase->c_str());
    }
    if (!opened.key) {
      hint_ = fmt::format("; {0} has a passphrase: give it to the agent with `ssh-add {0}`", file);
    }
    return opened;
  }

  // While the user types, the time that a login may take does not run.
  Passphrase ask(const std::string& key, Passphrase wrong) {
    if (!options_.passphrases) return nullptr;
    auto answer = options_.passphrases->get(key, std::move(wrong), unhurried_);
    patience_ = unhurried_.limited(options_.connect_timeout);
    return answer;
  }

  // libssh's question, in the middle of with_usual_keys(). Nothing may be thrown through it.
  static int passphrase_wanted(const char*, char* buffer, std::size_t size, int, int, void* self) {
    return static_cast<Login*>(self)->answer(buffer, size) ? 0 : -1;
  }

  bool answer(char* buffer, std::size_t size) {
    if (thrown_) return false;  // libssh goes on to the next key all the same
    try {
      auto text = open(current_key()).passphrase;
      if (!text || text->size() >= size) return false;
      std::copy_n(text->c_str(), text->size() + 1, buffer);
      return true;
    } catch (...) {
      thrown_ = std::current_exception();
      return false;
    }
  }

  // Which one with_usual_keys() is trying.
  std::string current_key() const {
    char* file = nullptr;
    ssh_userauth_publickey_auto_get_current_identity(session_, &file);
    return take(file);
  }

  // A certificate beside it comes along, as with ssh -i.
  static void add_certificate(const std::string& file, ssh_key key) {
    ssh_key certificate = nullptr;
    auto path = file + "-cert.pub";
    if (ssh_pki_import_cert_file(path.c_str(), &certificate) != SSH_OK) return;
    ssh_pki_copy_cert_to_privkey(certificate, key);
    ssh_key_free(certificate);
  }

  // libssh asks for a passphrase even where none is of use.
  static int no_passphrase(const char*, char*, std::size_t, int, int, void* asked) {
    *static_cast<bool*>(asked) = true;
    return -1;
  }

  // Null when it needs a passphrase, or another one. Throws Error when it is no private key.
  Key load(const std::string& file, const char* passphrase) {
    ssh_key key = nullptr;
    bool locked = passphrase != nullptr;
    int rc =
        ssh_pki_import_privkey_file(file.c_str(), passphrase, &Login::no_passphrase, &locked, &key);
    if (rc != SSH_OK && !locked) {
      throw failed(fmt::format("{}: cannot read the private key {}", whom_, file));
    }
    if (rc == SSH_OK) add_certificate(file, key);
    return {rc == SSH_OK ? key : nullptr, &ssh_key_free};
  }

  template <typename Call>
  bool accepted(Call call) {
    // After the server has hung up, libssh would answer "again" for ever.
    auto unless_gone = [&] {
      int rc = call();
      if (rc == SSH_AUTH_AGAIN && !ssh_is_connected(session_)) throw hung_up();
      return rc;
    };
    int rc = until_done(session_, patience_, SSH_AUTH_AGAIN, kDoing, unless_gone);
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    if (rc == SSH_AUTH_ERROR) throw failed(fmt::format("{}: {}", whom_, last_error(session_)));
    if (rc == SSH_AUTH_PARTIAL) {
      throw failed(fmt::format("{}: the server wants more than a key ({})", whom_, methods()));
    }
    return rc == SSH_AUTH_SUCCESS;
  }

  Error hung_up() const {
    auto words = last_error(session_);
    bool too_many = words.find("oo many authentication") != std::string::npos;
    return failed(fmt::format("{}: {}{}", whom_, words.empty() ? "connection lost" : words,
                              too_many ? "; name the one key that fits with --ssh-key" : ""));
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
  const Options& options_;
  const Patience& unhurried_;
  Patience patience_;
  ssh_callbacks_struct callbacks_{};
  std::string hint_;
  std::exception_ptr thrown_;
};

}  // namespace

void log_in(ssh_session session, const std::string& whom, const Options& options,
            const Patience& patience) {
  Login login(session, whom, options, patience);
  if (login.with_nothing()) return;  // which also asks what the server takes
  // Keys that were given are meant: the usual ones are not tried, for a server hangs up after a
  // few.
  bool in = options.identities.empty() ? login.with_usual_keys() : login.with_given_keys();
  if (!in) throw login.denied();
}

}  // namespace kcni::ssh
