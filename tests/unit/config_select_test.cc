#include "common/kube/config_select.h"

#include "common/base/error.h"
#include "common/kube/config_endpoint.h"
#include "tests/unit/catch.h"

namespace kcni::kube {

namespace {

Kubeconfig sample() {
  return parse_kubeconfig(R"(
current-context: one
clusters:
- {name: k1, cluster: {server: 'https://one', tls-server-name: n1, certificate-authority-data: UEVN}}
- {name: k2, cluster: {server: 'https://two', insecure-skip-tls-verify: true}}
contexts:
- {name: one, context: {cluster: k1, user: u1, namespace: ns1}}
- {name: two, context: {cluster: k2, user: u2}}
- {name: lost, context: {cluster: gone, user: gone}}
users:
- {name: u1, user: {token: t1}}
- name: u2
  user:
    tokenFile: /t2
    as: boss
    as-groups: [g]
    as-user-extra: {a: [x1, x2], b: [z]}
    client-key-data: UEVN
    exec: {command: p, apiVersion: client.authentication.k8s.io/v1beta1}
)",
                          "/d/kc");
}

Selection selected(const ConfigOverrides& overrides) {
  auto selection = select_entries(sample(), overrides);
  apply_overrides(overrides, selection);
  return selection;
}

std::string problem_of(const ConfigOverrides& overrides, Kubeconfig config = sample()) {
  try {
    auto selection = select_entries(config, overrides);
    apply_overrides(overrides, selection);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("The current context, or --context, --cluster and --user") {
  auto selection = selected({});
  CHECK(selection.cluster.server == "https://one");
  CHECK(selection.user.token == "t1");
  CHECK(selection.namespace_ == "ns1");
  ConfigOverrides overrides;
  overrides.context = "two";
  selection = selected(overrides);
  CHECK(selection.cluster.server == "https://two");
  CHECK(selection.user.token_file == "/t2");
  CHECK(selection.namespace_.empty());
  overrides = {};
  overrides.cluster = "k2";
  CHECK(selected(overrides).cluster.server == "https://two");
  CHECK(selected(overrides).user.token == "t1");
  overrides = {};
  overrides.user = "u2";
  CHECK(selected(overrides).user_name == "u2");
}

TEST_CASE("Names that do not exist") {
  ConfigOverrides overrides;
  overrides.context = "nope";
  CHECK(problem_of(overrides) == "context \"nope\" does not exist (/d/kc has lost, one, two)");
  overrides = {};
  overrides.cluster = "nope";
  CHECK(problem_of(overrides) == "cluster \"nope\" does not exist in /d/kc");
  overrides = {};
  overrides.user = "nope";
  overrides.token = "t";
  CHECK(problem_of(overrides) == "user \"nope\" does not exist in /d/kc");
  auto config = sample();
  config.current_context = "nope";
  CHECK(problem_of({}, config) ==
        "context was not found for specified context: nope (/d/kc has lost, one, two)");
  overrides = {};
  overrides.context = "x";
  CHECK(problem_of(overrides, {}) == "context \"x\" does not exist (there is no kubeconfig)");
}

TEST_CASE("A context's missing entries do not matter when flags replace them") {
  ConfigOverrides overrides;
  overrides.context = "lost";
  CHECK(problem_of(overrides) == "cluster \"gone\" does not exist in /d/kc");
  overrides.server = "https://s";
  CHECK(problem_of(overrides) == "user \"gone\" does not exist in /d/kc");
  overrides.token = "t";
  CHECK(problem_of(overrides).empty());
}

TEST_CASE("--server clears tls-server-name, a CA or insecure clears the CA") {
  ConfigOverrides overrides;
  overrides.server = "https://s";
  CHECK(selected(overrides).cluster.server == "https://s");
  CHECK(selected(overrides).cluster.tls_server_name.empty());
  CHECK(selected(overrides).cluster.ca_data == "PEM");
  overrides.tls_server_name = "mine";
  CHECK(selected(overrides).cluster.tls_server_name == "mine");
  overrides = {};
  overrides.certificate_authority = "/ca";
  CHECK(selected(overrides).cluster.ca_file == "/ca");
  CHECK(selected(overrides).cluster.ca_data.empty());
  overrides.context = "two";
  CHECK_FALSE(selected(overrides).cluster.insecure);
  overrides = {};
  overrides.insecure_skip_tls_verify = true;
  CHECK(selected(overrides).cluster.insecure);
  CHECK(selected(overrides).cluster.ca_data.empty());
  overrides.insecure_skip_tls_verify = false;
  CHECK(selected(overrides).cluster.ca_data == "PEM");
  overrides.context = "two";
  CHECK_FALSE(selected(overrides).cluster.insecure);
}

TEST_CASE("--token and --client-certificate replace other credentials") {
  ConfigOverrides overrides;
  overrides.context = "two";
  CHECK(selected(overrides).user.exec.has_value());
  overrides.token = "t";
  CHECK(selected(overrides).user.token == "t");
  CHECK(selected(overrides).user.token_file.empty());
  CHECK_FALSE(selected(overrides).user.exec.has_value());
  overrides.token = "";
  CHECK(selected(overrides).user.token_file == "/t2");
  overrides.client_key = "/k";
  CHECK(selected(overrides).user.key_data.empty());
}

TEST_CASE("Impersonation flags go over the kubeconfig's") {
  ConfigOverrides overrides;
  overrides.context = "two";
  overrides.as_groups = {"g1", "g2"};
  overrides.as_user_extra = {"a=1", "c=2=3"};
  const auto as = selected(overrides).user.impersonation;
  CHECK(as.user == "boss");
  CHECK(as.groups == std::vector<std::string>{"g1", "g2"});
  const decltype(as.extra) expected = {{"b", "z"}, {"a", "1"}, {"c", "2=3"}};
  CHECK(as.extra == expected);
  overrides.as_user_extra = {"bad"};
  CHECK(problem_of(overrides) == "--as-user-extra \"bad\": expected KEY=VALUE");
}

TEST_CASE("Server URLs are normalized as client-go does") {
  const std::pair<const char*, const char*> cases[] = {
      {"https://a:6443", "https://a:6443"},
      {"https://a/", "https://a"},
      {"https://a/x/y/?q=1#f", "https://a/x/y"},
      {"localhost:8080", "http://localhost:8080"},
      {"https://[::1]:6443", "https://[::1]:6443"}};
  for (const auto& [server, url] : cases) CHECK(normalize_server(server, "it") == url);
  for (const char* bad : {"ftp://a", "https://", "https:///x", "https://u:p@a", "https://a b",
                          "://x", "https://:6443"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(normalize_server(bad, "it"), Error);
  }
}

TEST_CASE("Proxies are http, https or socks5, which resolves names itself") {
  CHECK(normalize_proxy("http://p:3128", "it") == "http://p:3128");
  CHECK(normalize_proxy("socks5://p:1", "it") == "socks5h://p:1");
  for (const char* bad : {"ftp://p", "p:1", "http://", "", "socks4://p"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(normalize_proxy(bad, "it"), Error);
  }
}

}  // namespace kcni::kube
