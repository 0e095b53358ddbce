// The protocol of exec credential plugins (client.authentication.k8s.io), without running one.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/kube/credentials.h"
#include "common/kube/json.h"

namespace kcni::kube {

enum class InteractiveMode { kNever, kIfAvailable, kAlways };

/// A kubeconfig user's `exec`.
struct ExecPlugin {
  std::string command;  ///< absolute, or a name to look up on PATH
  std::vector<std::string> args;
  std::vector<std::string> env;  ///< "NAME=value"
  std::string api_version;
  std::string install_hint;
  bool provide_cluster_info = false;
  InteractiveMode interactive_mode = InteractiveMode::kIfAvailable;
};

/// What a plugin may know about the cluster (spec.cluster).
struct ExecCluster {
  std::string server, tls_server_name, ca_pem, proxy_url;
  bool insecure = false;
  bool disable_compression = false;
  Json config;  ///< the cluster's extension client.authentication.k8s.io/exec, or null
};

/// What a plugin answered.
struct ExecCredential {
  std::optional<std::string> token;
  std::optional<CertificatePair> certificate;
  std::optional<std::chrono::system_clock::time_point> expires;
};

/// client.authentication.k8s.io/v1 or v1beta1.
bool supported_exec_version(std::string_view api_version);

/// The value of KUBERNETES_EXEC_INFO.
std::string exec_info(const ExecPlugin& plugin, const ExecCluster& cluster, bool interactive);

/// Reads a plugin's output. Throws Error (kFailed) saying what is wrong with it ("the plugin …"),
/// without anything secret.
ExecCredential parse_exec_credential(const std::string& output, const std::string& api_version);

}  // namespace kcni::kube
