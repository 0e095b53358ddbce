// How to reach nodes over ssh: what the --ssh-* flags say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/deadline.h"
#include "common/ssh/passphrases.h"

namespace kcni::ssh {

struct Options {
  std::string user;                      ///< empty: ~/.ssh/config's, else the current user
  std::optional<std::uint16_t> port;     ///< unset: ~/.ssh/config's, else 22
  std::vector<std::string> identities;   ///< private keys, tried before the agent's and the usual
  std::vector<std::string> config;       ///< lines of ssh_config(5) that beat the user's files
  std::string known_hosts;               ///< empty: ~/.ssh/config's, else ~/.ssh/known_hosts
  bool accept_new = false;               ///< write an unknown host's key down; never a changed one
  bool use_config = true;                ///< read ~/.ssh/config and /etc/ssh/ssh_config
  Milliseconds connect_timeout{15'000};  ///< until the host key is verified; login gets as much
  Passphrases* passphrases = nullptr;    ///< for encrypted keys, shared by all sessions; or none
};

/// One machine to log into.
struct Target {
  std::string name;                   ///< for messages, e.g. "node/w1"
  std::string host;                   ///< an address, a DNS name or a Host of ~/.ssh/config
  std::optional<std::uint16_t> port;  ///< beats Options::port (from --host-map)
};

/// Throws Error (kUsage) that says in `what` no port is.
std::uint16_t parse_port(const std::string& what, const std::string& text);

/// Throws Error (kUsage) unless it is KEYWORD=VALUE, as `ssh -o` takes it, with a keyword that
/// libssh knows. Returns the line of ssh_config(5) that it stands for.
std::string config_line(const std::string& option);

}  // namespace kcni::ssh
