// pin -f: what is asked for changes, and not a byte beside it.
#include "common/cni/manifest.h"

#include "common/base/error.h"
#include "common/kube/yaml_json.h"
#include "tests/unit/catch.h"

using kcni::Error;
using kcni::ExitStatus;
using kcni::cni::ManifestPin;
using kcni::cni::pin_manifest;
using kcni::kube::parse_yaml;

namespace {

const ManifestPin kCilium{"cni", "cilium", {}};

std::string agent(const std::string& pod_spec) {
  return "apiVersion: apps/v1\n"
         "kind: DaemonSet\n"
         "metadata:\n"
         "  name: cilium\n"
         "spec:\n"
         "  template:\n"
         "    metadata:\n"
         "      labels:\n"
         "        k8s-app: cilium\n" +
         pod_spec;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

ManifestPin selecting(std::vector<std::string> names) {
  return {"cni", "cilium", std::move(names)};
}

ManifestPin removing() {
  auto pin = kCilium;
  pin.remove = true;
  return pin;
}

struct Failure {
  ExitStatus status;
  std::string text;
};

Failure failure(const std::string& text, const ManifestPin& pin = kCilium) {
  try {
    pin_manifest(text, pin);
  } catch (const Error& error) {
    return {error.status(), error.what()};
  }
  return {ExitStatus::kDone, "no error"};
}

const std::string kService = "# keep me\nkind: Service\nmetadata: {name: cilium, x: yes}\n";
const std::string kConfig =
    "kind: ConfigMap\nmetadata:\n  name: c\n  annotations:\n    nodeSelector: 'cni: flannel'\n"
    "data:\n  a: |\n    ---\n    kind: DaemonSet\n    nodeSelector:\n      cni: x\n";

}  // namespace

TEST_CASE("a pod spec gets a nodeSelector on lines of its own") {
  struct Row {
    const char *before, *after;
  };
  const std::vector<Row> rows{
      {"    spec:\n      containers: []\n",
       "    spec:\n      nodeSelector:\n        cni: cilium\n      containers: []\n"},
      {"    spec:  # the pods\n      # the agent\n      containers: []",
       "    spec:  # the pods\n      nodeSelector:\n        cni: cilium\n      # the agent\n"
       "      containers: []"},
      {"    spec:\t\n\n        containers: []\n",
       "    spec:\t\n        nodeSelector:\n          cni: cilium\n\n        containers: []\n"},
      {"    spec: {}\n", "    spec: {nodeSelector: {cni: cilium}}\n"},
      {"    spec: {containers: [], x: {}} # y\n",
       "    spec: {nodeSelector: {cni: cilium}, containers: [], x: {}} # y\n"},
      {"    spec: &pods\n      containers: []\n",
       "    spec: &pods\n      nodeSelector:\n        cni: cilium\n      containers: []\n"},
      {"    \"spec\":\n      containers: []\n",
       "    \"spec\":\n      nodeSelector:\n        cni: cilium\n      containers: []\n"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.before);
    CHECK(pin_manifest(agent(row.before), kCilium) == agent(row.after));
  }
}

TEST_CASE("a nodeSelector that is there is kept and added to") {
  struct Row {
    const char *before, *after;
  };
  const std::vector<Row> rows{
      {"      nodeSelector:\n        kubernetes.io/os: linux\n",
       "      nodeSelector:\n        cni: cilium\n        kubernetes.io/os: linux\n"},
      {"      nodeSelector: # ours\n          # why\n          a: b\n",
       "      nodeSelector: # ours\n          cni: cilium\n          # why\n          a: b\n"},
      {"      nodeSelector: {a: b}\n", "      nodeSelector: {cni: cilium, a: b}\n"},
      {"      nodeSelector: { a: b }\n", "      nodeSelector: { cni: cilium, a: b }\n"},
      {"      nodeSelector: {}\n", "      nodeSelector: {cni: cilium}\n"},
      {"      nodeSelector:\n", "      nodeSelector: {cni: cilium}\n"},
      {"      nodeSelector: # none\n", "      nodeSelector: {cni: cilium} # none\n"},
      {"      nodeSelector: null # x\n", "      nodeSelector: {cni: cilium} # x\n"},
      {"      nodeSelector: ~", "      nodeSelector: {cni: cilium}"},
      {"      nodeSelector:\n        cni: cilium\n", "      nodeSelector:\n        cni: cilium\n"},
      {"      nodeSelector: {\"cni\":   'cilium'}\n",
       "      nodeSelector: {\"cni\":   'cilium'}\n"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.before);
    const std::string head = "    spec:\n      containers: []\n";
    CHECK(pin_manifest(agent(head + row.before), kCilium) == agent(head + row.after));
  }
}

TEST_CASE("another value of the key is refused, and replaced with --overwrite") {
  struct Row {
    const char *before, *after;
  };
  const std::vector<Row> rows{
      {"cni: flannel", "cni: cilium"},
      {"cni: flannel # why", "cni: cilium # why"},
      {"cni: \"fl\\\"an\" # why", "cni: cilium # why"},
      {"'cni': 'fl''an'", "'cni': cilium"},
  };
  auto overwrite = kCilium;
  overwrite.overwrite = true;
  for (const auto& row : rows) {
    CAPTURE(row.before);
    auto text = [](const std::string& entry) {
      return agent("    spec:\n      nodeSelector:\n        a: b\n        " + entry +
                   "\n      x: y\n");
    };
    CHECK(failure(text(row.before)).status == ExitStatus::kRefused);
    CHECK(pin_manifest(text(row.before), overwrite) == text(row.after));
  }
  const auto flow = agent("    spec: {nodeSelector: {cni: flannel, a: b}}\n");
  CHECK(pin_manifest(flow, overwrite) == replaced(flow, "flannel", "cilium"));
  CHECK(failure(flow).text ==
        "daemonset.apps/cilium already has the nodeSelector cni=flannel; "
        "--overwrite replaces it");
}

TEST_CASE("keys and values are quoted where YAML would misread them") {
  const auto text = agent("    spec:\n      containers: []\n");
  struct Row {
    const char *key, *value, *line;
  };
  const std::vector<Row> rows{
      {"cni", "yes", "        cni: \"yes\"\n"},
      {"cni", "1.10", "        cni: \"1.10\"\n"},
      {"cni", "", "        cni: \"\"\n"},
      {"cni", "0x1f", "        cni: \"0x1f\"\n"},
      {"no", "a", "        \"no\": a\n"},
      {"example.com/cni", "a", "        example.com/cni: a\n"},
      {"cni", "a: b#", "        cni: \"a: b#\"\n"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.line);
    const auto result = pin_manifest(text, {row.key, row.value, {}});
    CHECK(result.find(row.line) != result.npos);
    CHECK(parse_yaml(result)["spec"]["template"]["spec"]["nodeSelector"][row.key] == row.value);
  }
}

TEST_CASE("documents that are not asked for pass through byte for byte") {
  const auto before = agent("    spec:\n      containers: []\n");
  const auto after =
      agent("    spec:\n      nodeSelector:\n        cni: cilium\n      containers: []\n");
  struct Row {
    std::string head, tail;
  };
  const std::vector<Row> rows{
      {"", ""},
      {"---\n", "---\n"},
      {"# a banner\n\n---\n# Source: x.yaml\n", "...\n"},
      {kService + "--- # comment\n", "\n\n---\n" + kConfig},
      {"\n---\n---\n  \n---\t\n", "---\n---\n"},
      {kConfig + "---\n", "...\n---\n# nothing\n---\n" + kService},
      {"\xEF\xBB\xBF" + kService + "---\n", "--- \n" + kService},
      {"kind: X\na: 1\na: 2\n---\n", "---\nkind: X\ntabs: \"\t\"\nb: \xC3\xBC\n"},
      {"{\"kind\": \"X\", \"a\":\t1}\n---\n", "---\n{\"kind\": \"X\"}\n{\"kind\": \"Y\"}"},
      {"a scalar\n---\n- a list\n---\n", "---\nkind: [1]\n"},
      {"kind: List\nitems:\n- kind: Service\n  metadata: {name: a}\n---\n", "---\nkind: List\n"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.head, row.tail);
    CHECK(pin_manifest(row.head + before + row.tail, kCilium) == row.head + after + row.tail);
    const auto crlf = [](const std::string& text) { return replaced(text, "\n", "\r\n"); };
    CHECK(pin_manifest(crlf(row.head + before + row.tail), kCilium) ==
          crlf(row.head + after + row.tail));
  }
}

TEST_CASE("umlauts before the pod spec do not shift the edit") {
  const auto text = "# \xC3\xA4\xF0\x9F\x98\x80\n" + agent("    spec:\n      x: \xC3\xA4\n");
  CHECK(pin_manifest(text, kCilium) ==
        replaced(text, "      x:", "      nodeSelector:\n        cni: cilium\n      x:"));
}

TEST_CASE("items of a List are edited in place") {
  const std::string yaml =
      "apiVersion: v1\nkind: List\nitems:\n"
      "- kind: Service\n  metadata: {name: a}\n"
      "- kind: DaemonSet\n  metadata:\n    name: cilium\n    labels: {k8s-app: cilium}\n"
      "  spec:\n    template:\n      spec:\n        containers: []\n"
      "- kind: Secret\n";
  CHECK(pin_manifest(yaml, kCilium) ==
        replaced(yaml, "        containers",
                 "        nodeSelector:\n          cni: cilium\n        containers"));

  const std::string json =
      "{\n    \"kind\": \"List\",\n    \"items\": [\n        {\"kind\": \"Service\"},\n"
      "        {\n            \"kind\": \"DaemonSet\",\n            \"spec\": {\"template\": {\n"
      "                \"spec\": {\n                    \"containers\": [{\"name\": "
      "\"cilium-agent\"}]\n                }\n            }}\n        }\n    ]\n}\n";
  const auto pinned = pin_manifest(json, kCilium);
  CHECK(pinned == replaced(json, "                    \"containers\"",
                           "                    \"nodeSelector\": {\"cni\": \"cilium\"},\n"
                           "                    \"containers\""));
  CHECK(pin_manifest(pinned, removing()) == json);

  const std::string typed =
      "{\"kind\":\"DaemonSetList\",\"items\":[{\"metadata\":{\"labels\":{\"k8s-app\":\"cilium\"}},"
      "\"spec\":{\"template\":{\"spec\":{\"a\":1}}}}]}";
  CHECK(pin_manifest(typed, kCilium) ==
        replaced(typed, "{\"a\"", "{\"nodeSelector\": {\"cni\": \"cilium\"}, \"a\""));
}

TEST_CASE("several objects of one document, and of JSON values in a row") {
  const std::string one =
      "{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"a\"},\"spec\":{\"template\":{\"spec\":{}}}"
      "}";
  const std::string pinned = replaced(one, "{}", "{\"nodeSelector\": {\"cni\": \"cilium\"}}");
  const auto two = replaced(one, "\"a\"", "\"b\"");
  const auto pin = selecting({"deploy/a"});
  CHECK(pin_manifest(one + "\n" + two + "\n", pin) == pinned + "\n" + two + "\n");
  CHECK(pin_manifest(two + one, pin) == two + pinned);
  const auto list = "{\"kind\":\"List\",\"items\":[" + one + "," + two + "," + one + "]}";
  CHECK(pin_manifest(list, pin) ==
        "{\"kind\":\"List\",\"items\":[" + pinned + "," + two + "," + pinned + "]}");
}

TEST_CASE("each kind with a pod template can be selected") {
  struct Row {
    const char *kind, *word, *head;
  };
  const std::string deep = "spec:\n  jobTemplate:\n    spec:\n      template:\n        spec:\n";
  const std::string usual = "spec:\n  template:\n    spec:\n";
  const std::vector<Row> rows{
      {"Deployment", "deployment/a", usual.c_str()},
      {"Deployment", "Deployment.apps/a", usual.c_str()},
      {"StatefulSet", "sts/a", usual.c_str()},
      {"DaemonSet", "daemonsets/a", usual.c_str()},
      {"ReplicaSet", "rs/a", usual.c_str()},
      {"ReplicationController", "rc/a", usual.c_str()},
      {"Job", "job/a", usual.c_str()},
      {"CronJob", "cronjob/a", deep.c_str()},
      {"Pod", "pod/a", "spec:\n"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.kind, row.word);
    const auto text = std::string("kind: ") + row.kind + "\nmetadata: {name: a}\n" + row.head;
    const std::string indent = std::string(row.head) == "spec:\n" ? "  "
                               : row.head == deep                 ? "          "
                                                                  : "      ";
    CHECK(pin_manifest(text + indent + "x: 1\n", selecting({row.word})) ==
          text + indent + "nodeSelector:\n" + indent + "  cni: cilium\n" + indent + "x: 1\n");
  }
}

TEST_CASE("the Cilium agent is found by what it is") {
  const std::string envoy =
      replaced(agent("    spec:\n      x: 1\n"), ": cilium", ": cilium-envoy");
  const std::string named =
      "kind: DaemonSet\nmetadata: {name: own}\nspec:\n  template:\n    spec:\n      containers:\n"
      "      - name: cilium-agent\n";
  const auto flannel = replaced(envoy, "cilium-envoy", "flannel");
  const auto text = envoy + "---\n" + named + "---\n" + flannel;
  CHECK(pin_manifest(text, kCilium) ==
        replaced(text, "      containers:",
                 "      nodeSelector:\n        cni: cilium\n      containers:"));

  CHECK(failure(envoy + "---\n" + flannel).status == ExitStatus::kFailed);
  CHECK(failure(envoy + "---\n" + flannel).text ==
        "there is no DaemonSet of the Cilium agent (label k8s-app=cilium or a container "
        "cilium-agent) in the manifest; there is daemonset.apps/cilium-envoy, "
        "daemonset.apps/flannel (choose with --select KIND/NAME)");
  const auto both = failure(agent("    spec:\n      x: 1\n") + "---\n" + named);
  CHECK(both.status == ExitStatus::kRefused);
  CHECK(both.text ==
        "the manifest has 2 Cilium agents: daemonset.apps/cilium, daemonset.apps/own; "
        "choose with --select KIND/NAME");
}

TEST_CASE("what is selected must be there, and own pods") {
  const auto text = agent("    spec:\n      x: 1\n");
  for (const auto* word : {"cilium", "service/cilium", "daemonset/", "/x", "foo/x", ""}) {
    CAPTURE(word);
    CHECK(failure(text, selecting({word})).status == ExitStatus::kUsage);
  }
  CHECK(failure(text, selecting({"ds/cilium", "ds/other"})).text ==
        "there is no daemonset.apps/other in the manifest; there is daemonset.apps/cilium (choose "
        "with --select KIND/NAME)");
  CHECK(failure("", kCilium).status == ExitStatus::kFailed);
  CHECK(failure("# nothing\n", selecting({"deploy/a"})).text ==
        "there is no deployment.apps/a in the manifest; nothing like it is there");
  CHECK(failure("kind: DaemonSet\nmetadata:\n  labels: {k8s-app: cilium}\n").text ==
        "daemonset.apps/ has no pod template");
}

TEST_CASE("what is no YAML is told with its line") {
  struct Row {
    const char *text, *message;
  };
  const std::vector<Row> rows{
      {"kind: A\n---\na: b\n  c: d\n", "invalid manifest: line 4: illegal map value"},
      {"kind: A\n---\nkind: DaemonSet\nkind: DaemonSet\n",
       "invalid manifest: line 4: key \"kind\" is given twice"},
      {"kind: A\n---\na: \x1b[1m\n",
       "invalid manifest: line 3: control characters are not allowed"},
      {"kind: A\n---\na:\n\tb: c\n", "invalid manifest: line 4: illegal map value"},
      {"a: [\n", "invalid manifest: line 2: end of sequence flow not found"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    CHECK(failure(row.text).text == row.message);
    CHECK(failure(row.text).status == ExitStatus::kFailed);
  }
}

TEST_CASE("remove takes the key off, and a nodeSelector that is empty then") {
  struct Row {
    const char *before, *after;
  };
  const std::vector<Row> rows{
      {"      nodeSelector:\n        cni: cilium # x\n      a: b\n", "      a: b\n"},
      {"      nodeSelector:\n        # x\n        cni: cilium\n", ""},
      {"      nodeSelector:\n        cni: cilium\n        a: b\n",
       "      nodeSelector:\n        a: b\n"},
      {"      nodeSelector: {cni: cilium} # x\n", ""},
      {"      nodeSelector: {cni: cilium, a: b} # x\n", "      nodeSelector: {a: b} # x\n"},
      {"      nodeSelector: {a: b, cni: cilium}\n", "      nodeSelector: {a: b}\n"},
      {"      nodeSelector: {a: b, cni: \"c,}\", d: e}\n", "      nodeSelector: {a: b, d: e}\n"},
      {"      nodeSelector: {a: b}\n", "      nodeSelector: {a: b}\n"},
      {"", ""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.before);
    const std::string head = "    spec:\n      containers: []\n";
    CHECK(pin_manifest(agent(head + row.before), removing()) == agent(head + row.after));
  }
  const auto json = "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"},\"spec\":{\"x\":[1]}}";
  auto pin = selecting({"pod/a"});
  const auto pinned = pin_manifest(json, pin);
  pin.remove = true;
  CHECK(pin_manifest(pinned, pin) == json);
}

TEST_CASE("what cannot be edited line by line is written anew as JSON") {
  const std::vector<std::string> rows{
      // an anchor that other objects share
      "kind: DaemonSet\nmetadata: {name: a}\nx: &pods\n  containers: []\nspec:\n  template:\n"
      "    spec: *pods\n",
      // a merge key on the way, and one that brings the nodeSelector
      "kind: DaemonSet\nmetadata: {name: a}\nx: &t\n  template:\n    spec:\n      y: 1\nspec:\n"
      "  <<: *t\n",
      "kind: DaemonSet\nmetadata: {name: a}\nx: &s\n  nodeSelector: {a: b}\nspec:\n  template:\n"
      "    spec:\n      <<: *s\n      c: d\n",
      // an anchored nodeSelector that is used elsewhere too
      "kind: DaemonSet\nmetadata: {name: a}\nspec:\n  template:\n    spec:\n"
      "      nodeSelector: &s\n        a: b\n  other: *s\n",
      // a key of YAML's long form
      "kind: DaemonSet\nmetadata: {name: a}\nspec:\n  template:\n    ? spec\n    : y: 1\n",
  };
  for (const auto& row : rows) {
    CAPTURE(row);
    const auto text = "---\n# banner\n" + row;
    const auto result = pin_manifest(kService + text + "---\n" + kConfig, selecting({"ds/a"}));
    CHECK(result.starts_with(kService + "---\n# banner\n{\n"));
    CHECK(result.ends_with("}\n---\n" + kConfig));
    auto wanted = parse_yaml(text);
    wanted["spec"]["template"]["spec"]["nodeSelector"]["cni"] = "cilium";
    const auto document = result.substr(kService.size(), result.rfind("---\n") - kService.size());
    CHECK(parse_yaml(document) == wanted);
  }
}

TEST_CASE("JSON that yaml-cpp does not read is pinned all the same") {
  const std::string json =
      "{\"kind\": \"Pod\", \"metadata\": {\"name\": \"a\", \"x\": \"\\ud83d\\ude00\"}, \"spec\": "
      "{}}";
  const auto result = pin_manifest("---\n" + json, selecting({"pod/a"}));
  CHECK(result.starts_with("---\n{\n"));
  auto wanted = parse_yaml(json);
  wanted["spec"]["nodeSelector"]["cni"] = "cilium";
  CHECK(parse_yaml(result.substr(4)) == wanted);
}

TEST_CASE("pinning twice changes nothing the second time") {
  const auto once = pin_manifest(agent("    spec:\n      x: 1\n"), kCilium);
  CHECK(pin_manifest(once, kCilium) == once);
  CHECK(pin_manifest(once, removing()) == agent("    spec:\n      x: 1\n"));
}
