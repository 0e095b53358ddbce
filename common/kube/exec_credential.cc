#include "common/kube/exec_credential.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "common/base/base64.h"
#include "common/base/error.h"
#include "common/base/time.h"
#include "common/kube/pem.h"
#include "common/kube/yaml_json.h"

namespace kcni::kube {

namespace {

constexpr const char* kKind = "ExecCredential";

Json cluster_info(const ExecCluster& cluster) {
  Json info = {{"server", cluster.server}, {"config", cluster.config}};
  if (!cluster.tls_server_name.empty()) info["tls-server-name"] = cluster.tls_server_name;
  if (cluster.insecure) info["insecure-skip-tls-verify"] = true;
  if (!cluster.ca_pem.empty()) {
    info["certificate-authority-data"] = base64_encode(cluster.ca_pem);
  }
  if (!cluster.proxy_url.empty()) info["proxy-url"] = cluster.proxy_url;
  if (cluster.disable_compression) info["disable-compression"] = true;
  return info;
}

Json parse_output(const std::string& output) {
  try {
    return parse_yaml(output);
  } catch (const Error& error) {
    throw failed(
        fmt::format("the plugin printed something that is no {} ({})", kKind, error.what()));
  }
}

void check_type(const Json& answer, const std::string& api_version) {
  const auto kind = text_at(answer, "/kind");
  if (kind != kKind) throw failed(fmt::format("the plugin printed something that is no {}", kKind));
  const auto version = text_at(answer, "/apiVersion");
  if (version == api_version) return;
  throw failed(
      fmt::format("the plugin is configured to use API version {}, it returned version \"{}\"",
                  api_version, version.substr(0, 80)));
}

/// A string of status; missing and null are empty.
std::string status_text(const Json& answer, const std::string& field) {
  const auto& value = at(answer, "/status/" + field);
  if (value.is_null()) return "";
  if (!value.is_string()) throw failed(fmt::format("the plugin's status.{} is no string", field));
  return value.get<std::string>();
}

std::optional<CertificatePair> certificate_in(const Json& answer) {
  CertificatePair pair{status_text(answer, "clientCertificateData"),
                       status_text(answer, "clientKeyData")};
  if (pair.first.empty() && pair.second.empty()) return std::nullopt;
  if (pair.first.empty() || pair.second.empty()) {
    throw failed("the plugin returned only a certificate or only a key, not both");
  }
  require_certificate(pair.first, "the plugin's status.clientCertificateData");
  require_private_key(pair.second, "the plugin's status.clientKeyData");
  return pair;
}

}  // namespace

bool supported_exec_version(std::string_view api_version) {
  return api_version == "client.authentication.k8s.io/v1" ||
         api_version == "client.authentication.k8s.io/v1beta1";
}

std::string exec_info(const ExecPlugin& plugin, const ExecCluster& cluster, bool interactive) {
  Json spec = {{"interactive", interactive}};
  if (plugin.provide_cluster_info) spec["cluster"] = cluster_info(cluster);
  return Json{{"kind", kKind}, {"apiVersion", plugin.api_version}, {"spec", std::move(spec)}}
      .dump();
}

ExecCredential parse_exec_credential(const std::string& output, const std::string& api_version) {
  const auto answer = parse_output(output);
  check_type(answer, api_version);
  if (!at(answer, "/status").is_object()) throw failed("the plugin did not return a status");
  ExecCredential result;
  if (auto token = status_text(answer, "token"); !token.empty()) {
    require_token(token, "the plugin's status.token");
    result.token = std::move(token);
  }
  result.certificate = certificate_in(answer);
  if (!result.token && !result.certificate) {
    throw failed("the plugin did not return a token or a certificate with its key");
  }
  if (const auto expires = status_text(answer, "expirationTimestamp"); !expires.empty()) {
    result.expires = parse_rfc3339(expires);
    if (!result.expires)
      throw failed("the plugin's status.expirationTimestamp is no RFC 3339 time");
  }
  return result;
}

}  // namespace kcni::kube
