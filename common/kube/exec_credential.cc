#include "common/kube/exec_credential.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "common/base/base64.h"
#include "common/base/error.h"
#include "common/kube/pem.h"
#include "common/kube/yaml_json.h"

namespace kcni::kube {

namespace {

using std::chrono::system_clock;

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

/// Hours and minutes of "Z" or "+hh:mm".
std::optional<std::chrono::minutes> parse_offset(const std::string& text) {
  if (text == "Z" || text == "z") return std::chrono::minutes(0);
  char sign = 0;
  int hours = 0;
  int minutes = 0;
  int used = 0;
  if (std::sscanf(text.c_str(), "%c%2d:%2d%n", &sign, &hours, &minutes, &used) != 3 ||
      used != static_cast<int>(text.size()) || (sign != '+' && sign != '-')) {
    return std::nullopt;
  }
  const std::chrono::minutes offset(hours * 60 + minutes);
  return sign == '-' ? -offset : offset;
}

}  // namespace

std::optional<system_clock::time_point> parse_rfc3339(const std::string& text) {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  int used = 0;
  if (std::sscanf(text.c_str(), "%4d-%2u-%2u%*1[Tt ]%2d:%2d:%2d%n", &year, &month, &day, &hour,
                  &minute, &second, &used) != 6) {
    return std::nullopt;
  }
  auto rest = text.substr(static_cast<std::size_t>(used));
  if (rest.starts_with('.'))
    rest.erase(0, std::min(rest.find_first_not_of("0123456789", 1), rest.size()));
  const auto offset = parse_offset(rest);
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (!offset || !date.ok() || hour > 24 || minute > 59 || second > 60) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second) - *offset;
}

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
