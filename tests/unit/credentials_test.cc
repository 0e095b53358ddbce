#include <fmt/format.h>

#include <filesystem>
#include <string>

#include "common/base/error.h"
#include "common/base/time.h"
#include "common/kube/credentials_exec.h"
#include "common/kube/credentials_token.h"
#include "tests/unit/catch.h"
#include "tests/unit/temporary.h"

namespace kcni::kube {

namespace {

using std::chrono::seconds;

constexpr const char* kV1 = "client.authentication.k8s.io/v1";

ExecPlugin plugin_at(const std::string& command) {
  ExecPlugin plugin;
  plugin.command = command;
  plugin.api_version = kV1;
  plugin.interactive_mode = InteractiveMode::kNever;
  return plugin;
}

std::string token_answer(const std::string& token, const std::string& expires = "") {
  return fmt::format(R"({{"kind":"ExecCredential","apiVersion":"{}","status":{{"token":"{}"{}}}}})",
                     kV1, token,
                     expires.empty() ? "" : fmt::format(R"(,"expirationTimestamp":"{}")", expires));
}

/// A plugin that answers t1, t2, … and counts.
struct FakePlugin {
  int runs = 0;
  std::string expires;
  ExecCredentials::Time now = *parse_rfc3339("2026-11-23T10:00:00Z");
  bool terminal = false;
  Command last;

  ExecCredentials credentials(ExecPlugin plugin) {
    return {std::move(plugin),
            {},
            "user \"u\"",
            {[this](const Command& command) {
               last = command;
               ProcessResult result;
               result.output = token_answer("t" + std::to_string(++runs), expires);
               return result;
             },
             [this] { return now; }, [this] { return terminal; }}};
  }
};

template <typename Call>
std::string problem_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("An exec plugin runs once until its credentials expire") {
  FakePlugin fake;
  fake.expires = "2026-11-23T10:05:00Z";
  auto credentials = fake.credentials(plugin_at("p"));
  CHECK(credentials.bearer_token() == std::string("t1"));
  CHECK_FALSE(credentials.client_certificate().has_value());
  CHECK(credentials.bearer_token() == std::string("t1"));
  CHECK(fake.runs == 1);
  fake.now += seconds(301);
  fake.expires = "";
  CHECK(credentials.bearer_token() == std::string("t2"));
  fake.now += seconds(100'000);
  CHECK(credentials.bearer_token() == std::string("t2"));
}

TEST_CASE("After 401s an exec plugin runs again, once for all that were in flight") {
  FakePlugin fake;
  auto credentials = fake.credentials(plugin_at("p"));
  credentials.bearer_token();
  CHECK(credentials.refresh());
  CHECK(credentials.refresh());
  CHECK(credentials.bearer_token() == std::string("t2"));
  CHECK(credentials.refresh());
  CHECK(credentials.bearer_token() == std::string("t2"));
  fake.now += seconds(11);
  CHECK(credentials.refresh());
  CHECK(credentials.bearer_token() == std::string("t3"));
}

TEST_CASE("An exec plugin gets our stdin only when it may ask") {
  using Mode = InteractiveMode;
  const std::tuple<Mode, bool, bool> cases[] = {{Mode::kNever, true, false},
                                                {Mode::kIfAvailable, true, true},
                                                {Mode::kIfAvailable, false, false},
                                                {Mode::kAlways, true, true}};
  for (const auto& [mode, terminal, expected] : cases) {
    FakePlugin fake;
    fake.terminal = terminal;
    auto plugin = plugin_at("p");
    plugin.interactive_mode = mode;
    fake.credentials(plugin).bearer_token();
    CHECK(fake.last.inherit_stdin == expected);
    const auto flag = fmt::format("\"interactive\":{}", expected);
    CHECK(fake.last.env.back().find(flag) != std::string::npos);
  }
  FakePlugin fake;
  auto plugin = plugin_at("p");
  plugin.interactive_mode = InteractiveMode::kAlways;
  auto credentials = fake.credentials(plugin);
  CHECK(problem_of([&] { credentials.bearer_token(); }).find("not a terminal") !=
        std::string::npos);
  CHECK(fake.runs == 0);
}

TEST_CASE("A real plugin gets arguments, environment and KUBERNETES_EXEC_INFO") {
  const TemporaryDirectory directory;
  auto plugin = plugin_at(directory.write_script(
      "plugin", R"(case "$KUBERNETES_EXEC_INFO" in *'"server":"https://s"'*) ;; *) exit 9 ;; esac
printf '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1",'
printf '"status":{"token":"%s-%s"}}' "$1" "$MINE"
)"));
  plugin.args = {"a b"};
  plugin.args[0] = "a$b";
  plugin.env = {"MINE=m"};
  plugin.provide_cluster_info = true;
  ExecCluster cluster;
  cluster.server = "https://s";
  ExecCredentials credentials(plugin, cluster, "user \"u\"");
  CHECK(credentials.bearer_token() == std::string("a$b-m"));
}

TEST_CASE("A plugin that is missing or fails is named, with its install hint") {
  const TemporaryDirectory directory;
  auto missing = plugin_at("kcni-no-such-plugin");
  missing.install_hint = "Install it:\n  \x1b[1mget it\n";
  ExecCredentials absent(missing, {}, "user \"u\"");
  CHECK(problem_of([&] { absent.bearer_token(); }) ==
        "exec plugin kcni-no-such-plugin of user \"u\": executable not found: "
        "Install it: [1mget it");
  const auto path = directory.write_script("fails", "echo secret; exit 3\n");
  ExecCredentials failing(plugin_at(path), {}, "user \"u\"");
  CHECK(problem_of([&] { failing.bearer_token(); }) ==
        "exec plugin " + path + " of user \"u\": failed with exit code 3");
  const auto dies = directory.write_script("dies", "kill -9 $$\n");
  ExecCredentials killed(plugin_at(dies), {}, "user \"u\"");
  CHECK(problem_of([&] { killed.bearer_token(); }).ends_with("killed by signal 9"));
}

TEST_CASE("A token file is read again when it changes, and kept when it goes") {
  const TemporaryDirectory directory;
  const auto path = directory.write("token", " one\n");
  TokenFile credentials(path, "", "user \"u\"");
  CHECK(credentials.bearer_token() == std::string("one"));
  CHECK_FALSE(credentials.refresh());
  directory.write("new", "three");
  std::filesystem::rename(directory / "new", path);
  CHECK(credentials.bearer_token() == std::string("three"));
  CHECK(credentials.refresh());
  std::filesystem::remove(path);
  CHECK(credentials.bearer_token() == std::string("three"));
}

TEST_CASE("A token file that cannot be used is named") {
  const TemporaryDirectory directory;
  TokenFile missing(directory / "none", "", "user \"u\"");
  CHECK(problem_of([&] { missing.bearer_token(); }) == "cannot read tokenFile of user \"u\", " +
                                                           (directory / "none") +
                                                           ": No such file or directory");
  TokenFile empty(directory.write("empty", "\n"), "", "user \"u\"");
  CHECK(problem_of([&] { empty.bearer_token(); }).ends_with("is empty"));
  TokenFile odd(directory.write("odd", "a\nb"), "", "user \"u\"");
  CHECK(problem_of([&] { odd.bearer_token(); }).find("no token has") != std::string::npos);
  TokenFile fallback(directory / "none", "spare", "user \"u\"");
  CHECK(fallback.bearer_token() == std::string("spare"));
}

}  // namespace kcni::kube
