#include "common/kube/config_select.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "common/base/error.h"

namespace kcni::kube {

namespace {

std::string known_names(const Kubeconfig& config) {
  if (config.files.empty()) return "there is no kubeconfig";
  constexpr std::size_t kShown = 10;
  std::vector<std::string> names;
  for (const auto& [name, context] : config.contexts) {
    if (names.size() < kShown) names.push_back(name);
  }
  return fmt::format("{} has {}{}", fmt::join(config.files, ", "),
                     names.empty() ? "no contexts" : fmt::format("{}", fmt::join(names, ", ")),
                     config.contexts.size() > kShown ? ", …" : "");
}

KubeconfigContext select_context(const Kubeconfig& config, const ConfigOverrides& overrides) {
  const auto asked = given(overrides.context);
  const auto name = asked.value_or(config.current_context);
  if (name.empty()) return {};
  const auto found = config.contexts.find(name);
  if (found != config.contexts.end()) return found->second;
  throw failed(
      fmt::format("{} ({})",
                  asked ? fmt::format("context \"{}\" does not exist", name)
                        : fmt::format("context was not found for specified context: {}", name),
                  known_names(config)));
}

/// The entry of that name. Without one: nothing if it `may_lack`, else the Error.
template <typename Entry>
Entry select_entry(const std::map<std::string, Entry>& entries, const std::string& kind,
                   const std::string& name, bool may_lack, const Kubeconfig& config) {
  const auto found = entries.find(name);
  if (found != entries.end()) return found->second;
  if (name.empty() || may_lack) return {};
  throw failed(fmt::format("{} \"{}\" does not exist{}", kind, name,
                           config.files.empty()
                               ? std::string(": there is no kubeconfig")
                               : fmt::format(" in {}", fmt::join(config.files, ", "))));
}

void override_server_trust(const ConfigOverrides& overrides, KubeconfigCluster& cluster) {
  const auto ca = given(overrides.certificate_authority);
  const auto insecure = overrides.insecure_skip_tls_verify;
  if (ca || insecure.value_or(false)) {
    cluster.ca_data.clear();
    cluster.ca_file = ca.value_or("");
    cluster.insecure = false;
  }
  if (insecure) cluster.insecure = *insecure;
  const auto server = given(overrides.server);
  const auto name = given(overrides.tls_server_name);
  if (server || name) cluster.tls_server_name = name.value_or("");
}

void override_credentials(const ConfigOverrides& overrides, KubeconfigUser& user) {
  if (auto token = given(overrides.token)) {
    user.token = *token;
    user.token_file.clear();
  }
  if (auto file = given(overrides.client_certificate)) {
    user.cert_file = *file;
    user.cert_data.clear();
  }
  if (auto file = given(overrides.client_key)) {
    user.key_file = *file;
    user.key_data.clear();
  }
  if (given(overrides.token) || given(overrides.client_certificate)) {
    user.exec.reset();
    user.auth_provider.clear();
    user.username.clear();
    user.password.clear();
  }
}

using Extra = std::vector<std::pair<std::string, std::string>>;

Extra parse_extra(const std::vector<std::string>& flags) {
  Extra extra;
  for (const auto& flag : flags) {
    const auto equals = flag.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw wrong_usage(fmt::format("--as-user-extra \"{}\": expected KEY=VALUE", flag));
    }
    extra.emplace_back(flag.substr(0, equals), flag.substr(equals + 1));
  }
  return extra;
}

void override_impersonation(const ConfigOverrides& overrides, Impersonation& as) {
  if (auto user = given(overrides.as)) as.user = *user;
  if (auto uid = given(overrides.as_uid)) as.uid = *uid;
  if (!overrides.as_groups.empty()) as.groups = overrides.as_groups;
  const auto extra = parse_extra(overrides.as_user_extra);
  // A key that is given replaces all of that key's values.
  for (const auto& [key, value] : extra) {
    std::erase_if(as.extra, [&name = key](const auto& entry) { return entry.first == name; });
  }
  as.extra.insert(as.extra.end(), extra.begin(), extra.end());
}

std::string describe(const std::string& kind, const std::string& name, const std::string& origin) {
  const auto what = name.empty() ? "the " + kind : fmt::format("{} \"{}\"", kind, name);
  return origin.empty() ? what : fmt::format("{} ({})", what, origin);
}

}  // namespace

Selection select_entries(const Kubeconfig& config, const ConfigOverrides& overrides) {
  const auto context = select_context(config, overrides);
  const bool own_user = given(overrides.token) || given(overrides.client_certificate);
  const bool own_server = given(overrides.server).has_value();
  Selection selection;
  selection.namespace_ = context.namespace_;
  selection.cluster_name = given(overrides.cluster).value_or(context.cluster);
  selection.user_name = given(overrides.user).value_or(context.user);
  selection.cluster = select_entry(config.clusters, "cluster", selection.cluster_name,
                                   own_server && !given(overrides.cluster), config);
  selection.user = select_entry(config.users, "user", selection.user_name,
                                own_user && !given(overrides.user), config);
  return selection;
}

void apply_overrides(const ConfigOverrides& overrides, Selection& selection) {
  if (auto server = given(overrides.server)) selection.cluster.server = *server;
  if (overrides.disable_compression) {
    selection.cluster.disable_compression = *overrides.disable_compression;
  }
  override_server_trust(overrides, selection.cluster);
  override_credentials(overrides, selection.user);
  override_impersonation(overrides, selection.user.impersonation);
}

std::string describe_user(const Selection& selection) {
  return describe("user", selection.user_name, selection.user.origin);
}

std::string describe_cluster(const Selection& selection) {
  return describe("cluster", selection.cluster_name, selection.cluster.origin);
}

}  // namespace kcni::kube
