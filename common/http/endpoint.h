// Where a server is and how to reach and trust it.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace kcni::http {

/// Everything about the connection that does not change from request to request. PEM texts, not
/// files, so that what was read once is what is used (kubeconfig *-data and files alike).
struct Endpoint {
  std::string base_url;                 ///< https://host:port[/prefix], no slash at the end
  std::optional<std::string> ca_pem;    ///< trusted CAs; nullopt: the system's
  std::optional<std::string> cert_pem;  ///< client certificate (chain)
  std::optional<std::string> key_pem;   ///< its key; set when cert_pem is
  bool insecure = false;                ///< accept any server certificate
  std::string tls_server_name;          ///< name to verify instead of the URL's host; may be empty
  std::string proxy_url;                ///< http, https or socks5h; empty: the proxy environment
  bool compression = true;              ///< ask for gzip
  std::chrono::milliseconds connect_timeout{10'000};
};

}  // namespace kcni::http
