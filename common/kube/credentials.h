// Who we are towards the API server: bearer tokens that may change while we run.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kcni::kube {

/// A client certificate and its key, PEM.
using CertificatePair = std::pair<std::string, std::string>;

/// Where tokens (and, from exec plugins, client certificates) come from. One per client, used from
/// its one thread. Implementations: none, a fixed token, a token file (re-read when it changes),
/// an exec credential plugin (cached until expiry).
class Credentials {
 public:
  virtual ~Credentials() = default;

  /// The token to send now; nullopt when there is none. May run the exec plugin and block for as
  /// long as that takes. Throws Error (kFailed) naming the file or command when there should be a
  /// token and cannot be had; never with the token in the message.
  virtual std::optional<std::string> bearer_token() = 0;

  /// A client certificate from an exec plugin; nullopt otherwise. A changed one means that
  /// connections must be made anew.
  virtual std::optional<CertificatePair> client_certificate() { return std::nullopt; }

  /// After a 401: forget what is cached. True when asking again may give something new.
  virtual bool refresh() { return false; }
};

}  // namespace kcni::kube
