#include "common/cli/results.h"

#include <sstream>

#include "common/base/error.h"
#include "common/kube/yaml_json.h"
#include "tests/unit/catch.h"

using namespace kcni::cli;
using kcni::kube::Json;
using kcni::kube::kDeployments;
using kcni::kube::kNodes;
using kcni::kube::parse_yaml;

namespace {

std::string printed(const std::string& format, const std::string& suffix = "") {
  std::ostringstream out;
  Results results(out, parse_output(format), suffix);
  results.done(kNodes, "", "w1", "labeled", "cni=none", {{"kind", "Node"}});
  results.done(kDeployments, "shop", "web", "pinned", "", {{"kind", "Deployment"}});
  results.finish();
  return out.str();
}

}  // namespace

TEST_CASE("results are printed as kubectl prints them") {
  CHECK(printed("") == "node/w1 labeled (cni=none)\ndeployment.apps/web pinned\n");
  CHECK(printed("", " (dry run)") ==
        "node/w1 labeled (cni=none) (dry run)\ndeployment.apps/web pinned (dry run)\n");
  CHECK(printed("name", " (dry run)") == "node/w1\ndeployment.apps/web\n");
  CHECK(printed("wide") == "node/w1 labeled (cni=none)\ndeployment.apps/web pinned -n shop\n");
}

TEST_CASE("-o json and yaml print one object, or a List") {
  for (const auto* format : {"json", "yaml"}) {
    const auto list = parse_yaml(printed(format));
    CHECK(list["kind"] == "List");
    CHECK(list["apiVersion"] == "v1");
    CHECK(list["items"] == Json::parse(R"([{"kind": "Node"}, {"kind": "Deployment"}])"));

    std::ostringstream one, none;
    Results single(one, parse_output(format), "");
    single.done(kNodes, "", "w1", "labeled", "", {{"kind", "Node"}});
    single.finish();
    CHECK(parse_yaml(one.str()) == Json{{"kind", "Node"}});
    Results empty(none, parse_output(format), "");
    empty.finish();
    CHECK(parse_yaml(none.str())["items"] == Json::array());
  }
}

TEST_CASE("an output format that does not work is named with those that do") {
  CHECK_THROWS_WITH(parse_output("xml"),
                    "unable to match a printer suitable for the output format \"xml\", allowed "
                    "formats are: json,name,wide,yaml");
}

TEST_CASE("YAML comes back as the JSON it was") {
  const std::vector<Json> rows{
      nullptr,
      true,
      0,
      -1,
      1.5,
      1e20,
      INT64_MIN,
      UINT64_MAX,
      "",
      "a",
      Json::object(),
      Json::array(),
      {{"a", Json::object()}, {"b", {{"c", Json::array()}}}, {"d", {Json::object(), 1}}},
      Json::parse(R"([[1, [2, []]], {"a": [{"b": {}}, {"c": null}]}, []])"),
      {{"yes", "no"}, {"1", "2"}, {"", ""}, {"null", "~"}, {"a: b", "c # d"}, {"- x", "- y"}},
      {{"<<", "="}, {"*a", "&b"}, {"!c", "%d"}, {"?", ":"}, {"@", "`"}, {"|", ">"}},
      {{"lines", "a\n  b\n\nc\n"}, {"crlf", "a\r\nb"}, {"tab", "\ta"}, {"space", " a "}},
      {{"quote", "\"'\\"}, {"control", "\x1b[1m"}, {"uml\u00e4ut", "\U0001F600\u00a0\ufeff\u2028"}},
      {{"0x1f", "0x1f"}, {"010", "0o7"}, {"1_000", "1e3"}, {".5", ".inf"}, {"12:30", "2026-01-01"}},
      {{"image", "registry:5000/a/b@sha256:0f"}, {"y", "Y"}, {"On", "OFF"}, {"True", "NULL"}},
  };
  for (const auto& row : rows) {
    const auto yaml = to_yaml(row);
    CAPTURE(yaml);
    CHECK(yaml.ends_with("\n"));
    CHECK(parse_yaml(yaml) == row);
  }
}

TEST_CASE("YAML is block style with plain words") {
  CHECK(to_yaml({{"kind", "Pod"}, {"spec", {{"a", {1, "x"}}, {"b", "1"}}}}) ==
        "kind: Pod\nspec:\n  a:\n    - 1\n    - x\n  b: \"1\"\n");
}

TEST_CASE("a long value is no trouble") {
  const Json secret{{"data", std::string(1 << 20, 'A')}, {std::string(2000, 'k'), "v"}};
  CHECK(parse_yaml(to_yaml(secret)) == secret);
}
