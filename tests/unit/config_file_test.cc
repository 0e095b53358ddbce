#include "common/kube/config_file.h"

#include <fmt/format.h>

#include "common/base/error.h"
#include "tests/unit/catch.h"

namespace kcni::kube {

namespace {

std::string problem_of(const std::string& text) {
  try {
    parse_kubeconfig(text, "/d/kc");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

Environment variables(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  };
}

constexpr const char* kFull = R"(
apiVersion: v1
kind: Config
current-context: c
clusters:
- name: k
  cluster:
    server: https://k:6443
    certificate-authority: pki/ca.crt
    certificate-authority-data: UEVN
    tls-server-name: name
    insecure-skip-tls-verify: true
    proxy-url: socks5://p:1
    disable-compression: true
    extensions:
    - name: other
      extension: x
    - name: client.authentication.k8s.io/exec
      extension: {audience: a}
contexts:
- {name: c, context: {cluster: k, user: u, namespace: ns}}
users:
- name: u
  user:
    tokenFile: ../t
    as: boss
    as-uid: "7"
    as-groups: [g1, g2]
    as-user-extra: {scopes: [a, b]}
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: ./bin/plugin
      args: [x, "1"]
      env: [{name: A, value: b}]
      provideClusterInfo: true
      installHint: get it
)";

}  // namespace

TEST_CASE("Every field of a kubeconfig is read, paths against its own directory") {
  const auto config = parse_kubeconfig(kFull, "/d/sub/kc");
  CHECK(config.current_context == "c");
  const auto& cluster = config.clusters.at("k");
  CHECK(cluster.server == "https://k:6443");
  CHECK(cluster.ca_file == "/d/sub/pki/ca.crt");
  CHECK(cluster.ca_data == "PEM");
  CHECK(cluster.tls_server_name == "name");
  CHECK((cluster.insecure && cluster.disable_compression));
  CHECK(cluster.proxy_url == "socks5://p:1");
  CHECK(cluster.exec_config == Json{{"audience", "a"}});
  CHECK(config.contexts.at("c").namespace_ == "ns");
  const auto& user = config.users.at("u");
  CHECK(user.token_file == "/d/t");
  CHECK(user.impersonation.user == "boss");
  CHECK(user.impersonation.uid == "7");
  CHECK(user.impersonation.groups == std::vector<std::string>{"g1", "g2"});
  CHECK(user.impersonation.extra.at(1) == std::pair<std::string, std::string>("scopes", "b"));
  REQUIRE(user.exec.has_value());
  CHECK(user.exec->command == "/d/sub/bin/plugin");
  CHECK(user.exec->args == std::vector<std::string>{"x", "1"});
  CHECK(user.exec->env == std::vector<std::string>{"A=b"});
  CHECK(user.exec->interactive_mode == InteractiveMode::kIfAvailable);
  CHECK(user.exec->provide_cluster_info);
}

TEST_CASE("A kubeconfig may be empty") {
  CHECK(parse_kubeconfig("", "/d/kc").contexts.empty());
  CHECK(parse_kubeconfig("# nothing\n", "/d/kc").clusters.empty());
  CHECK(parse_kubeconfig("clusters: null\nusers: []\n", "/d/kc").users.empty());
}

TEST_CASE("A wrong field is named with file and entry, its value is not") {
  const auto user = [](const std::string& fields) {
    return "users:\n- name: u\n  user: " + fields + "\n";
  };
  const std::pair<std::string, const char*> cases[] = {
      {"secret", "kubeconfig /d/kc: this is no kubeconfig"},
      {"kind: Pod", "kubeconfig /d/kc: kind is not Config: this is no kubeconfig"},
      {"apiVersion: v2", "kubeconfig /d/kc: apiVersion is not v1"},
      {"a: [secret", "kubeconfig /d/kc: line "},
      {"users: secret", "kubeconfig /d/kc: users must be a list"},
      {"users: [secret]", "kubeconfig /d/kc: users[0] must be a map"},
      {user("{token: 12345}"), "kubeconfig /d/kc: user \"u\": token must be a string"},
      {user("{client-key-data: '!secret'}"),
       "kubeconfig /d/kc: user \"u\": client-key-data is not valid base64"},
      {user("{as-groups: secret}"), "kubeconfig /d/kc: user \"u\": as-groups must be a list"},
      {user("{exec: {apiVersion: client.authentication.k8s.io/v1}}"),
       "kubeconfig /d/kc: user \"u\".exec: command must be given"},
      {user("{exec: {command: x, apiVersion: client.authentication.k8s.io/v1alpha1}}"),
       "kubeconfig /d/kc: user \"u\".exec: apiVersion must be"},
      {user("{exec: {command: x, apiVersion: client.authentication.k8s.io/v1}}"),
       "kubeconfig /d/kc: user \"u\".exec: interactiveMode must be"},
      {"clusters: [{name: k, cluster: {insecure-skip-tls-verify: secret}}]",
       "kubeconfig /d/kc: cluster \"k\": insecure-skip-tls-verify must be true or false"},
      {"contexts: [{name: c}, {name: c}]", "kubeconfig /d/kc: context \"c\": name is given twice"},
  };
  for (const auto& [text, part] : cases) {
    CAPTURE(text);
    const auto problem = problem_of(text);
    CHECK(problem.substr(0, std::string(part).size()) == part);
    CHECK(problem.find("secret") == std::string::npos);
    CHECK(problem.find("12345") == std::string::npos);
  }
}

TEST_CASE("Of several kubeconfigs the first to set an entry or the context wins") {
  const auto first = parse_kubeconfig(
      "users: [{name: u, user: {token: a}}, {name: v, user: {token: b}}]", "/1/kc");
  const auto second = parse_kubeconfig(
      "current-context: two\nusers: [{name: u, user: {token: c, as: x}}, {name: w}]", "/2/kc");
  const auto third = parse_kubeconfig("current-context: three\n", "/3/kc");
  const auto merged = merge_kubeconfigs({first, second, third});
  CHECK(merged.current_context == "two");
  CHECK(merged.users.size() == 3);
  CHECK(merged.users.at("u").token == "a");
  CHECK(merged.users.at("u").impersonation.user.empty());
  CHECK(merged.users.at("w").origin == "/2/kc");
  CHECK(merged.files == std::vector<std::string>{"/1/kc", "/2/kc", "/3/kc"});
}

TEST_CASE("Which kubeconfigs are read") {
  using Paths = std::vector<std::string>;
  ConfigOverrides none;
  CHECK(kubeconfig_paths(none, variables({{"HOME", "/h"}})) == Paths{"/h/.kube/config"});
  CHECK(kubeconfig_paths(none, variables({{"HOME", "/h"}, {"KUBECONFIG", ""}})) ==
        Paths{"/h/.kube/config"});
  CHECK(kubeconfig_paths(none, variables({{"KUBECONFIG", ":/a::/b:/a:c:"}})) ==
        Paths{"/a", "/b", "c"});
  CHECK(kubeconfig_paths(none, variables({{"HOME", "/h"}, {"KUBECONFIG", ":"}})).empty());
  CHECK(kubeconfig_paths(none, variables({})).empty());
  ConfigOverrides flag;
  flag.kubeconfig = "/f";
  CHECK(kubeconfig_paths(flag, variables({{"KUBECONFIG", "/a"}})) == Paths{"/f"});
  flag.kubeconfig = "";
  CHECK(kubeconfig_paths(flag, variables({{"KUBECONFIG", "/a"}})) == Paths{"/a"});
}

}  // namespace kcni::kube
