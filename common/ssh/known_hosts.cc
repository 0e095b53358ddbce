#include <fmt/format.h>

#include <fstream>
#include <memory>
#include <mutex>

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/ssh/libssh.h"
#include "common/ssh/session.h"

namespace kcni::ssh {

namespace {

using Key = std::unique_ptr<ssh_key_struct, decltype(&ssh_key_free)>;

// Null when there is none.
Key server_key(ssh_session session) {
  ssh_key key = nullptr;
  if (ssh_get_server_publickey(session, &key) != SSH_OK) key = nullptr;
  return {key, &ssh_key_free};
}

// "SHA256:...", as ssh and ssh-keygen show it.
std::string fingerprint(ssh_session session) {
  auto key = server_key(session);
  if (!key) return "unknown";
  unsigned char* hash = nullptr;
  std::size_t size = 0;
  if (ssh_get_publickey_hash(key.get(), SSH_PUBLICKEY_HASH_SHA256, &hash, &size) != 0)
    return "unknown";
  auto text = take(ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, size));
  ssh_clean_pubkey_hash(&hash);
  return text;
}

struct Place {
  std::string host, file;
  unsigned port = 22;

  // For a command line; a leading ~/ is for the shell to expand.
  std::string quoted_file() const {
    if (file.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "/._~+-") == std::string::npos) {
      return file;
    }
    return file.starts_with("~/") ? "~/" + quote(file.substr(2)) : quote(file);
  }

  // As known_hosts has it.
  std::string entry() const { return port == 22 ? host : fmt::format("'[{}]:{}'", host, port); }
};

Place place_of(ssh_session session) {
  Place place;
  place.host = option_of(session, SSH_OPTIONS_HOST);
  place.file = option_of(session, SSH_OPTIONS_KNOWNHOSTS);
  if (place.file.empty()) place.file = "~/.ssh/known_hosts";
  ssh_options_get_port(session, &place.port);
  return place;
}

Error unknown(ssh_session session, const std::string& whom) {
  auto place = place_of(session);
  auto port = place.port == 22 ? "" : fmt::format("-p {} ", place.port);
  return failed(fmt::format(
      "{}: host key {} is not known; check it and add it with `ssh-keyscan {}-H {} >> {}`, or "
      "accept it with --ssh-accept-new",
      whom, fingerprint(session), port, place.host, place.quoted_file()));
}

Error changed(ssh_session session, const std::string& whom) {
  auto place = place_of(session);
  return failed(fmt::format(
      "{}: HOST KEY CHANGED: {} is not the key in {}; somebody may be in between. If the node "
      "was made anew, remove the old key with `ssh-keygen -R {} -f {}`",
      whom, fingerprint(session), place.file, place.entry(), place.quoted_file()));
}

// Many sessions append to one file.
void write_down(ssh_session session, const std::string& whom) {
  static std::mutex writing;
  std::lock_guard lock(writing);
  if (ssh_session_update_known_hosts(session) == SSH_OK) return;
  throw failed(fmt::format("{}: cannot add the host key to {}: {}", whom, place_of(session).file,
                           last_error(session)));
}

// libssh knows no @revoked (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). Whatever host a line is about: a
// revoked key is nobody's.
void refuse_revoked(ssh_session session, const std::string& whom) {
  auto key = server_key(session);
  char* encoded = nullptr;
  if (!key || ssh_pki_export_pubkey_base64(key.get(), &encoded) != SSH_OK) return;
  auto text = take(encoded);
  for (auto which : {SSH_OPTIONS_KNOWNHOSTS, SSH_OPTIONS_GLOBAL_KNOWNHOSTS}) {
    auto file = option_of(session, which);
    std::ifstream lines(file);
    for (std::string line; std::getline(lines, line);) {
      if (!trim(line).starts_with("@revoked") || line.find(text) == std::string::npos) continue;
      throw failed(fmt::format("{}: host key {} is revoked in {}: give the node a new one", whom,
                               fingerprint(session), file));
    }
  }
}

}  // namespace

void verify_host_key(ssh_session session, const std::string& whom, bool accept_new) {
  refuse_revoked(session, whom);
  switch (ssh_session_is_known_server(session)) {
    case SSH_KNOWN_HOSTS_OK:
      return;
    case SSH_KNOWN_HOSTS_CHANGED:
    case SSH_KNOWN_HOSTS_OTHER:
      throw changed(session, whom);
    case SSH_KNOWN_HOSTS_NOT_FOUND:
    case SSH_KNOWN_HOSTS_UNKNOWN:
      if (!accept_new) throw unknown(session, whom);
      write_down(session, whom);
      return;
    case SSH_KNOWN_HOSTS_ERROR:
      break;
  }
  throw failed(fmt::format("{}: cannot check the host key: {}", whom, last_error(session)));
}

}  // namespace kcni::ssh
