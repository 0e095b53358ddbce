#include "common/kube/config_endpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "common/base/error.h"
#include "common/base/file.h"
#include "common/kube/credentials_exec.h"
#include "common/kube/credentials_token.h"
#include "common/kube/pem.h"

namespace kcni::kube {

namespace {

constexpr std::string_view kSchemeEnd = "://";

/// A PEM text, given inline or in a file (inline wins). `field` and `whose` are for messages.
std::optional<std::string> load_pem(const std::string& data, const std::string& file,
                                    const std::string& field, const std::string& whose,
                                    void (*require)(const std::string&, const std::string&)) {
  if (!data.empty()) {
    require(data, fmt::format("{}-data of {}", field, whose));
    return data;
  }
  if (file.empty()) return std::nullopt;
  auto text = read_file(file, fmt::format("{} of {},", field, whose));
  require(text, fmt::format("{} of {}, {},", field, whose, file));
  return text;
}

void load_trust(const Selection& selection, http::Endpoint& endpoint) {
  const auto& cluster = selection.cluster;
  const bool has_ca = !cluster.ca_data.empty() || !cluster.ca_file.empty();
  if (has_ca && cluster.insecure) {
    throw failed(
        fmt::format("{}: a certificate authority and insecure-skip-tls-verify exclude "
                    "each other",
                    describe_cluster(selection)));
  }
  endpoint.insecure = cluster.insecure;
  endpoint.tls_server_name = cluster.tls_server_name;
  endpoint.ca_pem = load_pem(cluster.ca_data, cluster.ca_file, "certificate-authority",
                             describe_cluster(selection), require_certificate);
}

void load_identity(const Selection& selection, http::Endpoint& endpoint) {
  const auto& user = selection.user;
  const auto whose = describe_user(selection);
  endpoint.cert_pem =
      load_pem(user.cert_data, user.cert_file, "client-certificate", whose, require_certificate);
  if (!endpoint.cert_pem) return;
  // A key may be in the certificate's file, but kubectl wants it named all the same.
  endpoint.key_pem =
      load_pem(user.key_data, user.key_file, "client-key", whose, require_private_key);
  if (endpoint.key_pem) return;
  throw failed(
      fmt::format("client-key-data or client-key must be given for {}, which has a "
                  "client certificate",
                  whose));
}

ExecCluster exec_cluster(const Selection& selection, const http::Endpoint& endpoint) {
  ExecCluster cluster;
  cluster.server = endpoint.base_url;
  cluster.tls_server_name = endpoint.tls_server_name;
  cluster.ca_pem = endpoint.ca_pem.value_or("");
  cluster.proxy_url = selection.cluster.proxy_url;
  cluster.insecure = endpoint.insecure;
  cluster.disable_compression = !endpoint.compression;
  cluster.config = selection.cluster.exec_config;
  return cluster;
}

void refuse_old_methods(const Selection& selection) {
  const auto& user = selection.user;
  if (!user.auth_provider.empty()) {
    throw failed(
        fmt::format("auth-provider \"{}\" of {} is not supported: use an exec plugin, a "
                    "token or a client certificate",
                    user.auth_provider, describe_user(selection)));
  }
  if (!user.username.empty() || !user.password.empty()) {
    throw failed(
        fmt::format("{} has a user name and password, which no Kubernetes server takes "
                    "any more: use a token or a client certificate",
                    describe_user(selection)));
  }
}

}  // namespace

std::string normalize_server(const std::string& server, const std::string& whose) {
  auto url = server.find(kSchemeEnd) == std::string::npos ? "http://" + server : server;
  url.erase(std::min(url.find_first_of("?#"), url.size()));
  while (url.ends_with('/')) url.pop_back();
  const auto authority = url.find(kSchemeEnd) + kSchemeEnd.size();
  const auto host =
      url.substr(std::min(authority, url.size()), url.find('/', authority) - authority);
  const bool known = url.starts_with("https://") || url.starts_with("http://");
  if (host.find('@') != std::string::npos) {
    throw failed(fmt::format("the server of {} must not have a user name in its URL", whose));
  }
  const bool clean = std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20; });
  if (known && clean && !host.empty() && !host.starts_with(':')) return url;
  throw failed(
      fmt::format("the server of {} is no http or https URL: \"{}\"", whose, clean ? server : "…"));
}

std::string normalize_proxy(const std::string& url, const std::string& whose) {
  const auto end = url.find(kSchemeEnd);
  const auto scheme = url.substr(0, end == std::string::npos ? 0 : end);
  const bool has_host = end != std::string::npos && url.size() > end + kSchemeEnd.size();
  if (has_host && (scheme == "http" || scheme == "https")) return url;
  if (has_host && scheme == "socks5") return "socks5h" + url.substr(end);
  throw failed(
      fmt::format("the proxy-url of {} must begin with http://, https:// or socks5://", whose));
}

http::Endpoint make_endpoint(const Selection& selection) {
  const auto whose = describe_cluster(selection);
  http::Endpoint endpoint;
  endpoint.base_url = normalize_server(selection.cluster.server, whose);
  if (!selection.cluster.proxy_url.empty()) {
    endpoint.proxy_url = normalize_proxy(selection.cluster.proxy_url, whose);
  }
  endpoint.compression = !selection.cluster.disable_compression;
  if (!endpoint.base_url.starts_with("https:")) return endpoint;
  load_trust(selection, endpoint);
  load_identity(selection, endpoint);
  return endpoint;
}

std::shared_ptr<Credentials> make_credentials(const Selection& selection,
                                              const http::Endpoint& endpoint) {
  const auto& user = selection.user;
  if (!endpoint.base_url.starts_with("https:")) return std::make_shared<NoCredentials>();
  const auto whose = describe_user(selection);
  refuse_old_methods(selection);
  if (!user.token_file.empty()) {
    return std::make_shared<TokenFile>(user.token_file, user.token, whose);
  }
  if (!user.token.empty()) {
    require_token(user.token, "the token of " + whose);
    return std::make_shared<FixedToken>(user.token);
  }
  if (!user.exec || endpoint.cert_pem) return std::make_shared<NoCredentials>();
  return std::make_shared<ExecCredentials>(*user.exec, exec_cluster(selection, endpoint), whose);
}

}  // namespace kcni::kube
