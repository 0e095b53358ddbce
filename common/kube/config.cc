#include "common/kube/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>

#include "common/base/error.h"
#include "common/kube/config_endpoint.h"
#include "common/kube/config_file.h"
#include "common/kube/config_pod.h"
#include "common/kube/config_select.h"

namespace kcni::kube {

namespace {

Error nothing_configured(const Kubeconfig& config, const ConfigOverrides& overrides,
                         const Environment& environment) {
  if (!config.files.empty()) {
    return failed(
        fmt::format("no configuration has been provided: {} has no current-context; give "
                    "--context or run kubectl config use-context",
                    fmt::join(config.files, ", ")));
  }
  const auto paths = kubeconfig_paths(overrides, environment);
  return failed(
      fmt::format("no configuration has been provided: there is no {}; give "
                  "--kubeconfig, or set KUBECONFIG",
                  paths.empty() ? "kubeconfig" : fmt::format("{}", fmt::join(paths, ", "))));
}

/// What flags and kubeconfig select; when they name no server, the pod's own cluster, else
/// KUBERNETES_MASTER, which kubectl still knows.
Selection select_or_default(const Kubeconfig& config, const ConfigOverrides& overrides,
                            const Environment& environment, const std::string& account_directory) {
  auto selection = select_entries(config, overrides);
  if (selection.cluster.server.empty() && !given(overrides.server)) {
    if (!selection.cluster_name.empty()) {
      throw failed(fmt::format("cluster has no server defined: {}", describe_cluster(selection)));
    }
    if (in_pod(environment, account_directory)) {
      selection = pod_selection(environment, account_directory);
    } else if (auto server = given(environment("KUBERNETES_MASTER"))) {
      selection.cluster.server = *server;
    } else {
      throw nothing_configured(config, overrides, environment);
    }
  }
  apply_overrides(overrides, selection);
  return selection;
}

std::string choose_namespace(const Selection& selection, const Environment& environment,
                             const std::string& account_directory) {
  if (!selection.namespace_.empty()) return selection.namespace_;
  if (in_pod(environment, account_directory)) {
    if (auto name = pod_namespace(environment, account_directory); !name.empty()) return name;
  }
  return "default";
}

void check_impersonation(const Selection& selection) {
  const auto& as = selection.user.impersonation;
  if (!as.user.empty() || (as.uid.empty() && as.groups.empty() && as.extra.empty())) return;
  throw failed(
      fmt::format("requesting uid, groups or user-extra for {} without impersonating a "
                  "user: give --as",
                  describe_user(selection)));
}

}  // namespace

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
}

ClientConfig load_config(const ConfigOverrides& overrides, const Environment& environment) {
  return load_config_in(overrides, environment, kServiceAccountDirectory);
}

ClientConfig load_config_in(const ConfigOverrides& overrides, const Environment& environment,
                            const std::string& account_directory) {
  const auto kubeconfig = read_kubeconfigs(overrides, environment);
  const auto selection = select_or_default(kubeconfig, overrides, environment, account_directory);
  check_impersonation(selection);
  ClientConfig config;
  config.endpoint = make_endpoint(selection);
  config.credentials = make_credentials(selection, config.endpoint);
  config.impersonation = selection.user.impersonation;
  const auto asked = given(overrides.namespace_);
  config.namespace_given = asked.has_value();
  config.namespace_ = asked ? *asked : choose_namespace(selection, environment, account_directory);
  return config;
}

}  // namespace kcni::kube
