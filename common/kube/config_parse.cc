// The fields of one kubeconfig file.
#include <fmt/format.h>

#include "common/base/error.h"
#include "common/kube/config_fields.h"
#include "common/kube/config_file.h"
#include "common/kube/yaml_json.h"

namespace kcni::kube {

namespace {

constexpr const char* kExecExtension = "client.authentication.k8s.io/exec";

Json exec_extension(const ConfigFields& cluster) {
  for (const auto& extension : cluster.objects("extensions")) {
    if (extension.text("name") == kExecExtension) return extension.value("extension");
  }
  return nullptr;
}

KubeconfigCluster read_cluster(const ConfigFields& fields) {
  KubeconfigCluster cluster;
  cluster.server = fields.text("server");
  cluster.tls_server_name = fields.text("tls-server-name");
  cluster.ca_file = fields.path("certificate-authority");
  cluster.ca_data = fields.bytes("certificate-authority-data");
  cluster.proxy_url = fields.text("proxy-url");
  cluster.insecure = fields.flag("insecure-skip-tls-verify");
  cluster.disable_compression = fields.flag("disable-compression");
  cluster.exec_config = exec_extension(fields);
  return cluster;
}

InteractiveMode read_interactive_mode(const ConfigFields& exec, const std::string& api_version) {
  const auto mode = exec.text("interactiveMode");
  if (mode == "Never") return InteractiveMode::kNever;
  if (mode == "IfAvailable") return InteractiveMode::kIfAvailable;
  if (mode == "Always") return InteractiveMode::kAlways;
  // v1beta1 came before the field.
  if (mode.empty() && api_version.ends_with("/v1beta1")) return InteractiveMode::kIfAvailable;
  throw exec.problem("interactiveMode", "must be Never, IfAvailable or Always");
}

std::vector<std::string> read_exec_environment(const ConfigFields& exec) {
  std::vector<std::string> result;
  for (const auto& entry : exec.objects("env")) {
    const auto name = entry.text("name");
    if (name.empty()) throw entry.problem("name", "must be given");
    result.push_back(name + "=" + entry.text("value"));
  }
  return result;
}

std::optional<ExecPlugin> read_exec(const ConfigFields& user) {
  if (user.value("exec").is_null()) return std::nullopt;
  const auto fields = user.object("exec");
  ExecPlugin plugin;
  plugin.command = fields.text("command");
  if (plugin.command.empty()) throw fields.problem("command", "must be given");
  if (plugin.command.find('/') != std::string::npos) plugin.command = fields.path("command");
  plugin.api_version = fields.text("apiVersion");
  if (!supported_exec_version(plugin.api_version)) {
    throw fields.problem(
        "apiVersion",
        "must be client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1");
  }
  plugin.args = fields.texts("args");
  plugin.env = read_exec_environment(fields);
  plugin.install_hint = fields.text("installHint");
  plugin.provide_cluster_info = fields.flag("provideClusterInfo");
  plugin.interactive_mode = read_interactive_mode(fields, plugin.api_version);
  return plugin;
}

Impersonation read_impersonation(const ConfigFields& user) {
  Impersonation result;
  result.user = user.text("as");
  result.uid = user.text("as-uid");
  result.groups = user.texts("as-groups");
  const auto extra = user.object("as-user-extra");
  for (const auto& key : extra.keys()) {
    for (auto& value : extra.texts(key)) result.extra.emplace_back(key, std::move(value));
  }
  return result;
}

KubeconfigUser read_user(const ConfigFields& fields) {
  KubeconfigUser user;
  user.cert_file = fields.path("client-certificate");
  user.cert_data = fields.bytes("client-certificate-data");
  user.key_file = fields.path("client-key");
  user.key_data = fields.bytes("client-key-data");
  user.token = fields.text("token");
  user.token_file = fields.path("tokenFile");
  user.username = fields.text("username");
  user.password = fields.text("password");
  user.auth_provider = fields.object("auth-provider").text("name");
  user.impersonation = read_impersonation(fields);
  user.exec = read_exec(fields);
  return user;
}

KubeconfigContext read_context(const ConfigFields& fields) {
  KubeconfigContext context;
  context.cluster = fields.text("cluster");
  context.user = fields.text("user");
  context.namespace_ = fields.text("namespace");
  return context;
}

/// Reads the list `plural` of {name: …, singular: {…}} with `read`.
template <typename Entry>
void read_entries(const ConfigFields& top, const std::string& plural, const std::string& singular,
                  Entry (*read)(const ConfigFields&), std::map<std::string, Entry>& entries) {
  for (const auto& item : top.objects(plural)) {
    const auto name = item.text("name");
    auto fields = item.object(singular);
    fields.rename(fmt::format("{} \"{}\"", singular, name));
    if (entries.contains(name)) throw fields.problem("name", "is given twice");
    auto entry = read(fields);
    entry.origin = top.file();
    entries.emplace(name, std::move(entry));
  }
}

void check_type(const ConfigFields& top) {
  const auto version = top.text("apiVersion");
  const auto kind = top.text("kind");
  if (!kind.empty() && kind != "Config")
    throw top.problem("kind", "is not Config: this is no kubeconfig");
  if (!version.empty() && version != "v1") throw top.problem("apiVersion", "is not v1");
}

Json parse_file(const std::string& text, const std::string& path) {
  Json content;
  try {
    content = parse_yaml(text);
  } catch (const Error& error) {
    throw failed(fmt::format("kubeconfig {}: {}", path, error.what()));
  }
  if (content.is_null()) return Json::object();
  if (!content.is_object()) throw failed(fmt::format("kubeconfig {}: this is no kubeconfig", path));
  return content;
}

}  // namespace

Kubeconfig parse_kubeconfig(const std::string& text, const std::string& path) {
  const auto content = parse_file(text, path);
  const ConfigFields top(content, path);
  check_type(top);
  Kubeconfig config;
  config.files = {path};
  config.current_context = top.text("current-context");
  read_entries(top, "clusters", "cluster", read_cluster, config.clusters);
  read_entries(top, "users", "user", read_user, config.users);
  read_entries(top, "contexts", "context", read_context, config.contexts);
  return config;
}

}  // namespace kcni::kube
