// Which cluster, user and namespace are meant, once flags have had their say (client_config.go).
#pragma once

#include <string>

#include "common/kube/config.h"
#include "common/kube/config_file.h"

namespace kcni::kube {

/// One cluster and one user. A server that nothing names is empty.
struct Selection {
  std::string cluster_name, user_name;  ///< may be empty
  KubeconfigCluster cluster;
  KubeconfigUser user;
  std::string namespace_;  ///< the context's; may be empty
};

/// By --context, --cluster and --user, else by the current context. Throws Error (kFailed) when
/// what is named does not exist; a user or cluster that flags replace need not exist.
Selection select_entries(const Kubeconfig& config, const ConfigOverrides& overrides);

/// Puts the flags that say how to reach the server, and as whom, over the selected entries:
/// --server clears the entry's tls-server-name, a CA or --insecure-skip-tls-verify its CA, a token
/// or certificate its kind. Throws Error (kUsage) for a malformed --as-user-extra.
void apply_overrides(const ConfigOverrides& overrides, Selection& selection);

/// `user "x" (FILE)`, as messages call the selected entries.
std::string describe_user(const Selection& selection);
std::string describe_cluster(const Selection& selection);

}  // namespace kcni::kube
