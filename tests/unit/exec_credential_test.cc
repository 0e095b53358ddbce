#include "common/kube/exec_credential.h"

#include <fmt/format.h>

#include <string>

#include "common/base/base64.h"
#include "common/base/error.h"
#include "common/base/time.h"
#include "tests/unit/catch.h"

namespace kcni::kube {

namespace {

constexpr const char* kV1 = "client.authentication.k8s.io/v1";
constexpr const char* kBeta = "client.authentication.k8s.io/v1beta1";

std::string answer(const std::string& status, const std::string& version = kV1) {
  return fmt::format(R"({{"kind":"ExecCredential","apiVersion":"{}","status":{}}})", version,
                     status);
}

std::string problem_of(const std::string& output) {
  try {
    parse_exec_credential(output, kV1);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("A plugin's token with its expiry") {
  const auto credential = parse_exec_credential(
      answer(R"({"token":"t0k","expirationTimestamp":"2026-11-23T10:53:00Z"})"), kV1);
  CHECK(credential.token == std::string("t0k"));
  CHECK_FALSE(credential.certificate.has_value());
  CHECK(credential.expires == parse_rfc3339("2026-11-23T10:53:00Z"));
}

TEST_CASE("A plugin's answer may be YAML, and of v1beta1") {
  const auto credential = parse_exec_credential(
      fmt::format("kind: ExecCredential\napiVersion: {}\nstatus:\n  token: abc\n", kBeta), kBeta);
  CHECK(credential.token == std::string("abc"));
  CHECK_FALSE(credential.expires.has_value());
}

TEST_CASE("A plugin's certificate and key") {
  const auto credential = parse_exec_credential(
      answer(R"({"clientCertificateData":"-----BEGIN CERTIFICATE-----\nx","clientKeyData":)"
             R"("-----BEGIN EC PRIVATE KEY-----\ny"})"),
      kV1);
  REQUIRE(credential.certificate.has_value());
  CHECK(credential.certificate->first.starts_with("-----BEGIN CERTIFICATE"));
  CHECK_FALSE(credential.token.has_value());
}

TEST_CASE("A wrong answer of a plugin is described without what it said") {
  const std::pair<std::string, const char*> cases[] = {
      {"", "no ExecCredential"},
      {"secret: [", "no ExecCredential"},
      {R"({"kind":"Pod","apiVersion":"v1"})", "no ExecCredential"},
      {answer(R"({"token":"secret"})", kBeta), "returned version"},
      {fmt::format(R"({{"kind":"ExecCredential","apiVersion":"{}"}})", kV1), "status"},
      {answer("{}"), "token or a certificate"},
      {answer(R"({"token":5})"), "status.token is no string"},
      {answer(R"({"token":"sec\nret"})"), "status.token has characters"},
      {answer(R"({"clientCertificateData":"secret"})"), "not both"},
      {answer(R"({"clientCertificateData":"secret","clientKeyData":"secret"})"),
       "BEGIN CERTIFICATE"},
      {answer(R"({"token":"secret","expirationTimestamp":"tomorrow"})"), "RFC 3339"},
  };
  for (const auto& [output, part] : cases) {
    CAPTURE(output);
    const auto problem = problem_of(output);
    CHECK(problem.find(part) != std::string::npos);
    CHECK(problem.find("secret") == std::string::npos);
  }
}

TEST_CASE("Times as Kubernetes writes them") {
  const auto base = parse_rfc3339("2026-11-23T10:53:00Z");
  REQUIRE(base.has_value());
  CHECK(std::chrono::system_clock::to_time_t(*base) == 1795431180);
  CHECK(parse_rfc3339("2026-11-23T10:53:00.123456Z") == base);
  CHECK(parse_rfc3339("2026-11-23T12:53:00+02:00") == base);
  CHECK(parse_rfc3339("2026-11-23t05:23:00-05:30") == base);
  for (const char* bad : {"", "2026-11-23", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
                          "2026-11-23T10:53:00", "2026-11-23T10:53:00ZZ", "2026-11-23T10:61:00Z",
                          "2026-11-23T10:53:00+0200", "2026-11-23T10:53:00.5"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_rfc3339(bad).has_value());
  }
}

TEST_CASE("KUBERNETES_EXEC_INFO says what the plugin may know") {
  ExecPlugin plugin;
  plugin.api_version = kV1;
  ExecCluster cluster;
  cluster.server = "https://x:6443";
  cluster.tls_server_name = "name";
  cluster.ca_pem = "PEM";
  cluster.proxy_url = "socks5://p:1";
  cluster.disable_compression = true;
  cluster.config = Json{{"audience", "a"}};
  auto info = Json::parse(exec_info(plugin, cluster, true));
  CHECK(info ==
        Json{{"kind", "ExecCredential"}, {"apiVersion", kV1}, {"spec", {{"interactive", true}}}});
  plugin.provide_cluster_info = true;
  info = Json::parse(exec_info(plugin, cluster, false));
  CHECK(info["spec"]["interactive"] == false);
  CHECK(info["spec"]["cluster"] == Json{{"server", "https://x:6443"},
                                        {"tls-server-name", "name"},
                                        {"certificate-authority-data", base64_encode("PEM")},
                                        {"proxy-url", "socks5://p:1"},
                                        {"disable-compression", true},
                                        {"config", {{"audience", "a"}}}});
}

}  // namespace kcni::kube
