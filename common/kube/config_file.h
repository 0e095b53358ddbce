// kubeconfig files: what is in one, and how several become one (client-go's loader.go).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/kube/config.h"
#include "common/kube/exec_credential.h"
#include "common/kube/json.h"

namespace kcni::kube {

/// An entry of `clusters`. Paths are absolute; *_data are decoded.
struct KubeconfigCluster {
  std::string server, tls_server_name, ca_file, ca_data, proxy_url;
  bool insecure = false;
  bool disable_compression = false;
  Json exec_config;    ///< the extension client.authentication.k8s.io/exec, or null
  std::string origin;  ///< the file it is from
};

/// An entry of `users`.
struct KubeconfigUser {
  std::string cert_file, cert_data, key_file, key_data, token, token_file;
  std::string username, password, auth_provider;
  Impersonation impersonation;
  std::optional<ExecPlugin> exec;
  std::string origin;
};

/// An entry of `contexts`.
struct KubeconfigContext {
  std::string cluster, user, namespace_;
  std::string origin;
};

struct Kubeconfig {
  std::vector<std::string> files;  ///< that were read
  std::string current_context;
  std::map<std::string, KubeconfigCluster> clusters;
  std::map<std::string, KubeconfigUser> users;
  std::map<std::string, KubeconfigContext> contexts;
};

/// Reads the text (YAML or JSON) of the kubeconfig at `path`. Throws Error (kFailed) naming the
/// file, the entry and the field; nothing of a value is in the message.
Kubeconfig parse_kubeconfig(const std::string& text, const std::string& path);

/// The first to set an entry or the current context wins; entries are not mixed.
Kubeconfig merge_kubeconfigs(const std::vector<Kubeconfig>& configs);

/// Which files to read: --kubeconfig, else those of KUBECONFIG (each once), else ~/.kube/config.
std::vector<std::string> kubeconfig_paths(const ConfigOverrides& overrides,
                                          const Environment& environment);

/// Reads and merges them. A missing file is as good as an empty one, but for --kubeconfig's.
Kubeconfig read_kubeconfigs(const ConfigOverrides& overrides, const Environment& environment);

/// The value of a flag or variable; an empty one is as good as none, as in kubectl.
std::optional<std::string> given(const std::optional<std::string>& value);

}  // namespace kcni::kube
