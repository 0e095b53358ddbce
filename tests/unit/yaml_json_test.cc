#include "common/kube/yaml_json.h"

#include <string>

#include "common/base/error.h"
#include "tests/unit/catch.h"

namespace kcni::kube {

namespace {

std::string problem_of(const std::string& text) {
  try {
    parse_yaml(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("YAML scalars mean what they mean to kubectl") {
  const std::pair<const char*, const char*> cases[] = {
      {"a: yes", R"({"a":true})"},
      {"a: 'yes'", R"({"a":"yes"})"},
      {"a: \"1\"", R"({"a":"1"})"},
      {"a: 1", R"({"a":1})"},
      {"a: off", R"({"a":false})"},
      {"a: 017", R"({"a":15})"},
      {"a: 0x1F", R"({"a":31})"},
      {"a: 1_000", R"({"a":1000})"},
      {"a: -5", R"({"a":-5})"},
      {"a: 1.5e2", R"({"a":150.0})"},
      {"a: 10.0.0.1", R"({"a":"10.0.0.1"})"},
      {"a: 2026-11-23", R"({"a":"2026-11-23"})"},
      {"a:", R"({"a":null})"},
      {"a: ~", R"({"a":null})"},
      {"a: ''", R"({"a":""})"},
      {"a: !!str 1", R"({"a":"1"})"},
      {"a: |\n  yes\n", R"({"a":"yes\n"})"},
      {"a: 1h", R"({"a":"1h"})"},
      {"a: -x", R"({"a":"-x"})"},
      {"1: x", R"({"1":"x"})"},
      {"a: 18446744073709551615", R"({"a":18446744073709551615})"},
      {"a: -9223372036854775808", R"({"a":-9223372036854775808})"},
      {"a: 0", R"({"a":0})"},
      {"a: 09", R"({"a":9.0})"},
  };
  for (const auto& [yaml, json] : cases) {
    CAPTURE(yaml);
    CHECK(parse_yaml(yaml) == Json::parse(json));
  }
}

TEST_CASE("YAML anchors and merge keys") {
  CHECK(parse_yaml("a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  k: 3\n")["b"] ==
        Json::parse(R"({"k":3,"l":2})"));
  CHECK(parse_yaml("a: [&x {k: 1}, &y {k: 2, m: 4}]\nb: {<<: [*x, *y]}\n")["b"] ==
        Json::parse(R"({"k":1,"m":4})"));
}

TEST_CASE("Duplicate keys are refused, in YAML and in JSON") {
  CHECK(problem_of("a: 1\nb: 2\na: 3\n") == "line 3: key \"a\" is given twice");
  CHECK(problem_of(R"({"a": {"b": 1, "b": 2}})") == "key \"b\" is given twice");
  CHECK(problem_of(R"({"a": {"b": 1}, "c": {"b": 2}, "d": [{"b": 1}, {"b": 1}]})").empty());
}

TEST_CASE("JSON is read as JSON, tabs and all, and braces may still be YAML") {
  CHECK(parse_yaml("{\n\t\"a\": \"yes\"\n}") == Json::parse(R"({"a":"yes"})"));
  CHECK(parse_yaml("{a: b}") == Json::parse(R"({"a":"b"})"));
}

TEST_CASE("Broken YAML is named by line, without its contents") {
  for (const char* text : {"a: b\n  secret: [x\n", "a: 'secret", "\tsecret: b: c", "a: *secret",
                           "{\"secret\": \"x\"", "a: !!binary secret"}) {
    CAPTURE(text);
    const auto problem = problem_of(text);
    CHECK_FALSE(problem.empty());
    CHECK(problem.find("secret") == std::string::npos);
    CHECK(problem.find('\n') == std::string::npos);
  }
  CHECK(problem_of("a: \"\xff\xfe\"") == "not UTF-8 text");
}

TEST_CASE("Aliases cannot make a document endless") {
  CHECK_FALSE(problem_of("a: &x [*x]").empty());
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const auto before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 0; j < 9; ++j) bomb += ", " + before;
    bomb += "]\n";
  }
  CHECK_FALSE(problem_of(bomb).empty());
  CHECK_FALSE(problem_of("{\"a\":" + std::string(300, '[') + std::string(300, ']') + "}").empty());
}

TEST_CASE("Several documents, empty ones left out") {
  const auto documents = parse_yaml_documents("---\na: 1\n---\n# nothing\n---\nb: 2\n...\n");
  REQUIRE(documents.size() == 2);
  CHECK(documents[1]["b"] == 2);
  CHECK(parse_yaml("").is_null());
  CHECK(parse_yaml("# only a comment\n").is_null());
}

}  // namespace kcni::kube
