#include "common/kube/config.h"

#include <sys/stat.h>

#include <filesystem>
#include <map>

#include "common/base/error.h"
#include "common/kube/config_pod.h"
#include "tests/unit/catch.h"
#include "tests/unit/temporary.h"

namespace kcni::kube {

namespace {

constexpr const char* kCert = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";
constexpr const char* kKey = "-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----\n";

/// A temporary home, an environment, and a place for a pod's service account.
struct World {
  TemporaryDirectory directory;
  std::map<std::string, std::string> variables{{"HOME", directory.path()}};
  ConfigOverrides flags;

  ClientConfig load() const {
    const auto environment = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = variables.find(name);
      return found == variables.end() ? std::nullopt : std::optional(found->second);
    };
    return load_config_in(flags, environment, directory / "account");
  }

  std::string problem() const {
    try {
      load();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  void kubeconfig(const std::string& cluster, const std::string& user) const {
    directory.write(".kube/config", "current-context: c\nclusters: [{name: k, cluster: {" +
                                        cluster + "}}]\nusers: [{name: u, user: {" + user +
                                        "}}]\ncontexts: [{name: c, context: {cluster: k, user: u, "
                                        "namespace: ns}}]\n");
  }

  void pod() {
    directory.write("account/token", "pod-token\n");
    directory.write("account/ca.crt", kCert);
    directory.write("account/namespace", "pod-ns\n");
    variables["KUBERNETES_SERVICE_HOST"] = "fd00::1";
    variables["KUBERNETES_SERVICE_PORT"] = "443";
  }
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("A kubeconfig with files and a token") {
  World world;
  world.directory.write(".kube/pki/ca.crt", kCert);
  world.directory.write(".kube/c.pem", kCert);
  world.directory.write(".kube/k.pem", kKey);
  world.kubeconfig(
      "server: 'https://s:6443/', certificate-authority: pki/ca.crt, "
      "tls-server-name: t, proxy-url: 'http://p'",
      "token: tok, client-certificate: c.pem, client-key: k.pem, as: boss");
  const auto config = world.load();
  CHECK(config.endpoint.base_url == "https://s:6443");
  CHECK(config.endpoint.ca_pem == std::string(kCert));
  CHECK(config.endpoint.cert_pem == std::string(kCert));
  CHECK(config.endpoint.key_pem == std::string(kKey));
  CHECK(config.endpoint.tls_server_name == "t");
  CHECK(config.endpoint.proxy_url == "http://p");
  CHECK(config.credentials->bearer_token() == std::string("tok"));
  CHECK(config.impersonation.user == "boss");
  CHECK(config.namespace_ == "ns");
  CHECK_FALSE(config.namespace_given);
}

TEST_CASE("The namespace flag") {
  World world;
  world.kubeconfig("server: 'https://s'", "");
  world.flags.namespace_ = "mine";
  CHECK(world.load().namespace_ == "mine");
  CHECK(world.load().namespace_given);
}

TEST_CASE("Nothing configured at all") {
  World world;
  CHECK(world.problem() == "no configuration has been provided: there is no " +
                               (world.directory / ".kube/config") +
                               "; give --kubeconfig, or set KUBECONFIG");
  world.flags.kubeconfig = world.directory / "nope";
  CHECK(world.problem() ==
        "--kubeconfig " + (world.directory / "nope") + ": there is no such file");
  world.flags = {};
  world.directory.write(".kube/config", "contexts: [{name: c}]");
  CHECK(has(world.problem(), "has no current-context"));
  world.variables["KUBERNETES_MASTER"] = "http://m:1";
  CHECK(world.load().endpoint.base_url == "http://m:1");
}

TEST_CASE("--server needs no kubeconfig") {
  World world;
  world.flags.server = "https://s";
  world.flags.token = "t";
  const auto config = world.load();
  CHECK(config.endpoint.base_url == "https://s");
  CHECK(config.credentials->bearer_token() == std::string("t"));
  CHECK(config.namespace_ == "default");
}

TEST_CASE("Over plain http no identity is sent") {
  World world;
  world.kubeconfig("server: 'http://s', certificate-authority: none", "token: t");
  CHECK_FALSE(world.load().credentials->bearer_token().has_value());
}

TEST_CASE("KUBECONFIG lists are merged and missing files skipped") {
  World world;
  const auto first = world.directory.write("1/kc", "current-context: c\n");
  const auto second = world.directory.write(
      "2/kc",
      "clusters: [{name: k, cluster: {server: 'https://s', certificate-authority: ca}}]\n"
      "contexts: [{name: c, context: {cluster: k}}]\n");
  world.directory.write("2/ca", kCert);
  world.variables["KUBECONFIG"] = first + ":" + (world.directory / "none") + "::" + second;
  CHECK(world.load().endpoint.ca_pem == std::string(kCert));
}

TEST_CASE("In a pod without a kubeconfig the service account is used") {
  World world;
  world.pod();
  auto config = world.load();
  CHECK(config.endpoint.base_url == "https://[fd00::1]:443");
  CHECK(config.endpoint.ca_pem == std::string(kCert));
  CHECK(config.credentials->bearer_token() == std::string("pod-token"));
  CHECK(config.namespace_ == "pod-ns");
  world.variables["POD_NAMESPACE"] = "env-ns";
  CHECK(world.load().namespace_ == "env-ns");
  world.flags.as = "boss";
  CHECK(world.load().impersonation.user == "boss");
  world.flags.server = "https://other";
  CHECK_FALSE(world.load().credentials->bearer_token().has_value());
}

TEST_CASE("In a pod a kubeconfig wins") {
  World world;
  world.pod();
  world.kubeconfig("server: 'https://s'", "token: t");
  CHECK(world.load().endpoint.base_url == "https://s");
  CHECK(world.load().credentials->bearer_token() == std::string("t"));
  CHECK(world.load().namespace_ == "ns");
}

TEST_CASE("What is wrong with a kubeconfig is said in one line") {
  World world;
  const auto file = world.directory / ".kube/config";
  world.directory.write(".kube/junk", "secret");
  world.directory.write(".kube/cert", kCert);
  const std::string https = "server: 'https://s'";
  const std::tuple<std::string, std::string, std::string> cases[] = {
      {"", "", "cluster has no server defined: cluster \"k\" (" + file + ")"},
      {https + ", certificate-authority: none", "",
       "cannot read certificate-authority of cluster \"k\" (" + file + "), " +
           (world.directory / ".kube/none") + ": No such file or directory"},
      {https + ", certificate-authority: junk", "", "holds no PEM certificate"},
      {https + ", certificate-authority-data: c2VjcmV0", "",
       "certificate-authority-data of cluster \"k\" (" + file + ") holds no PEM certificate"},
      {https + ", certificate-authority: cert, insecure-skip-tls-verify: true", "",
       "exclude each other"},
      {https + ", proxy-url: 'ftp://secret'", "", "proxy-url of cluster \"k\""},
      {"server: 'ftp://s'", "", "no http or https URL"},
      {https, "client-certificate: cert", "client-key must be given for user \"u\""},
      {https, "client-certificate: cert, client-key: junk", "holds no PEM private key"},
      {https, "client-certificate: '.'", "Is a directory"},
      {https, "username: secret, password: secret", "user name and password"},
      {https, "auth-provider: {name: gcp}", "auth-provider \"gcp\" of user \"u\""},
      {https, "token: 'sec ret'", "characters that no token has"},
      {https, "as-groups: [g]", "without impersonating a user"},
  };
  for (const auto& [cluster, user, part] : cases) {
    CAPTURE(cluster, user);
    world.kubeconfig(cluster, user);
    const auto problem = world.problem();
    CAPTURE(problem);
    CHECK(has(problem, part));
    CHECK_FALSE(has(problem, "secret"));
    CHECK_FALSE(has(problem, "\n"));
  }
}

TEST_CASE("Files of more than 10 MiB are refused") {
  World world;
  world.directory.write(".kube/config", std::string((10 << 20) + 1, '#'));
  CHECK(has(world.problem(), "larger than 10 MiB"));
}

}  // namespace kcni::kube
