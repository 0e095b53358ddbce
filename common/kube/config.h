// From kubeconfig files, flags and the pod environment to one server and one identity, by the rules
// of client-go's clientcmd (loader.go, client_config.go) and kubectl's flags (config_flags.go).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/http/endpoint.h"
#include "common/kube/credentials.h"

namespace kcni::kube {

/// kubectl's connection flags; an unset one is nullopt. As in kubectl an empty string is as good as
/// unset; unlike there, insecure_skip_tls_verify=false overrides the kubeconfig's true.
struct ConfigOverrides {
  std::optional<std::string> kubeconfig, context, cluster, user, namespace_;
  std::optional<std::string> server, token, certificate_authority, client_certificate, client_key;
  std::optional<std::string> tls_server_name;
  std::optional<bool> insecure_skip_tls_verify;
  std::optional<std::string> as, as_uid;
  std::vector<std::string> as_groups;
  std::vector<std::string> as_user_extra;  ///< "key=value", repeatable
  std::optional<bool> disable_compression;
};

/// Who to act as (Impersonate-* headers).
struct Impersonation {
  std::string user, uid;
  std::vector<std::string> groups;
  std::vector<std::pair<std::string, std::string>> extra;
};

struct ClientConfig {
  http::Endpoint endpoint;
  std::shared_ptr<Credentials> credentials;  ///< never null
  Impersonation impersonation;
  std::string namespace_;  ///< --namespace, else the context's, else the pod's, else "default"
  bool namespace_given = false;  ///< by --namespace
};

/// Looks a variable up, as getenv does; nullopt when unset. Injected so that tests need no process
/// environment.
using Environment = std::function<std::optional<std::string>(const std::string&)>;
Environment process_environment();

/// Reads the files and makes the configuration. Throws Error (kFailed) with one line that names the
/// file, context, cluster or user at fault and what to do; never with a secret in it. A token file
/// or exec plugin is first looked at when credentials are asked for. Over plain http nothing of an
/// identity is read or sent. (kUsage) for a malformed --as-user-extra.
ClientConfig load_config(const ConfigOverrides& overrides, const Environment& environment);

}  // namespace kcni::kube
