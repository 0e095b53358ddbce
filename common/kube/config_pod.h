// The configuration of a program in a pod, from what the kubelet puts there.
#pragma once

#include <string>

#include "common/kube/config.h"
#include "common/kube/config_select.h"

namespace kcni::kube {

inline constexpr const char* kServiceAccountDirectory =
    "/var/run/secrets/kubernetes.io/serviceaccount";

/// Whether we run in a pod with a service account.
bool in_pod(const Environment& environment, const std::string& account_directory);

/// The pod's own cluster and service account, as if a kubeconfig had them.
Selection pod_selection(const Environment& environment, const std::string& account_directory);

/// POD_NAMESPACE, else the service account's; may be empty.
std::string pod_namespace(const Environment& environment, const std::string& account_directory);

/// load_config() with the service account in another place, for tests.
ClientConfig load_config_in(const ConfigOverrides& overrides, const Environment& environment,
                            const std::string& account_directory);

}  // namespace kcni::kube
