#include "common/cli/flags.h"

#include <map>

#include "common/base/error.h"
#include "tests/unit/catch.h"

using kcni::Error;
using kcni::ExitStatus;
using namespace kcni::cli;
using Words = std::vector<std::string>;
using Variables = std::map<std::string, std::string>;

namespace {

Flags parsed(const Words& arguments, const Variables& variables = {}) {
  auto text = [] { return cxxopts::value<std::string>(); };
  auto list = [] { return cxxopts::value<std::vector<std::string>>(); };
  cxxopts::Options options("kubectl cni test");
  options.add_options()("n,namespace", "", text())("l,selector", "", text())(
      "o,output", "", text())("to", "", text())("from", "", text())("all", "")(
      "A,all-namespaces", "")("as-group", "", list())(
      "dry-run", "", text()->default_value("none")->implicit_value("client"))(
      "timeout", "", text()->default_value("5m"))("parallel", "", text()->default_value("4"))(
      "v", "", text()->default_value("0"))("h,help", "")("args", "", list());
  options.parse_positional("args");
  return parse_flags(options, arguments,
                     [variables](const std::string& name) -> std::optional<std::string> {
                       auto found = variables.find(name);
                       if (found == variables.end()) return std::nullopt;
                       return found->second;
                     });
}

std::string failure(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.status() == ExitStatus::kUsage);
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("kubectl's spellings of short flags and -v") {
  struct Row {
    Words given, normalized;
  };
  const std::vector<Row> rows{
      {{"-n=x", "-o=json"}, {"-nx", "-ojson"}},
      {{"--v=6", "--v", "6", "-v6"}, {"-v6", "-v", "6", "-v6"}},
      {{"-n", "x", "-A"}, {"-n", "x", "-A"}},
      {{"-l=a=b"}, {"-la=b"}},
      {{"--to=x", "-", "-f-"}, {"--to=x", "-", "-f-"}},
      {{"--", "-n=x", "--v=6"}, {"--", "-n=x", "--v=6"}},
      {{"", "a"}, {"", "a"}},
  };
  for (const auto& row : rows) CHECK(normalize_arguments(row.given) == row.normalized);
}

TEST_CASE("values in every spelling") {
  for (const Words& spelling : std::vector<Words>{{"-n", "shop"},
                                                  {"-n=shop"},
                                                  {"-nshop"},
                                                  {"--namespace", "shop"},
                                                  {"--namespace=shop"}}) {
    CAPTURE(spelling);
    CHECK(parsed(spelling).text("namespace") == "shop");
  }
  CHECK(parsed({"-l", "a=b,c!=d"}).text("selector") == "a=b,c!=d");
  CHECK(parsed({"-l=a=b"}).text("selector") == "a=b");
  CHECK(parsed({"--selector=a=b"}).text("selector") == "a=b");
  CHECK(parsed({"--v=6"}).number("v") == 6);
  CHECK(parsed({"-v", "6"}).number("v") == 6);
  CHECK(parsed({"--to", "-x"}).text("to") == "-x");
  CHECK(parsed({"-n", "a", "-n", "b"}).text("namespace") == "b");
}

TEST_CASE("an empty value is a value") {
  for (const Words& spelling : std::vector<Words>{{"--from", ""}, {"--from="}}) {
    CAPTURE(spelling);
    CHECK(parsed(spelling).given("from"));
    CHECK(parsed(spelling).optional_text("from") == "");
  }
  CHECK_FALSE(parsed({}).given("from"));
  CHECK(parsed({}).optional_text("from") == std::nullopt);
  CHECK(parsed({}).text("from").empty());
}

TEST_CASE("arguments keep commas, order and what follows --") {
  CHECK(parsed({}).args().empty());
  CHECK(parsed({"w1", "--all", "w2,w3"}).args() == Words{"w1", "w2,w3"});
  CHECK(parsed({"a", "--", "--all", "-n"}).args() == Words{"a", "--all", "-n"});
  CHECK_FALSE(parsed({"--", "--all"}).flag("all"));
}

TEST_CASE("--dry-run has an optional value") {
  CHECK(parsed({}).text("dry-run") == "none");
  CHECK(parsed({"--dry-run"}).text("dry-run") == "client");
  CHECK(parsed({"--dry-run=server"}).text("dry-run") == "server");
  const auto flags = parsed({"--dry-run", "w1"});
  CHECK(flags.text("dry-run") == "client");
  CHECK(flags.args() == Words{"w1"});
}

TEST_CASE("booleans") {
  CHECK_FALSE(parsed({}).flag("all"));
  CHECK(parsed({"--all"}).flag("all"));
  CHECK(parsed({"--all=true"}).flag("all"));
  CHECK_FALSE(parsed({"--all=false"}).flag("all"));
  CHECK(parsed({"-A"}).flag("all-namespaces"));
}

TEST_CASE("repeatable flags are not split at commas") {
  CHECK(parsed({"--as-group", "a,b", "--as-group=c"}).list("as-group") == Words{"a,b", "c"});
  CHECK(parsed({}).list("as-group").empty());
}

TEST_CASE("what no flag says, a variable may say") {
  const Variables variables{{"KUBECTL_CNI_TIMEOUT", "7s"}, {"KUBECTL_CNI_AS_GROUP", "a,b"},
                            {"KUBECTL_CNI_ALL", "true"},   {"KUBECTL_CNI_ALL_NAMESPACES", "0"},
                            {"KUBECTL_CNI_FROM", ""},      {"KUBECTL_CNI_PARALLEL", "9"}};
  const auto flags = parsed({"--parallel", "2"}, variables);
  CHECK(flags.duration("timeout") == std::chrono::seconds(7));
  CHECK(flags.list("as-group") == Words{"a", "b"});
  CHECK(flags.flag("all"));
  CHECK_FALSE(flags.flag("all-namespaces"));
  CHECK(flags.given("from"));
  CHECK(flags.number("parallel") == 2);
  CHECK_FALSE(parsed({"--all=false"}, variables).flag("all"));
  CHECK(failure([] {
          parsed({}, {{"KUBECTL_CNI_ALL", "maybe"}}).flag("all");
        }) == "invalid value \"maybe\" for KUBECTL_CNI_ALL: want true or false");
}

TEST_CASE("numbers and durations are checked") {
  CHECK(parsed({}).number("parallel", 1) == 4);
  CHECK(parsed({}).duration("timeout") == std::chrono::minutes(5));
  for (const auto* value : {"", "x", "0", "-1", "1.5", "3x", " 3", "99999999999"}) {
    CAPTURE(value);
    const auto flags = parsed({std::string("--parallel=") + value});
    CHECK(failure([&] { flags.number("parallel", 1); }) ==
          std::string("invalid value \"") + value +
              "\" for --parallel: want a whole number of at least 1");
  }
}

TEST_CASE("wrong usage is told as kubectl tells it") {
  struct Row {
    Words given;
    const char* message;
  };
  const std::vector<Row> rows{
      {{"--slector", "a"}, "unknown flag: --slector; did you mean --selector?"},
      {{"--slector=a"}, "unknown flag: --slector; did you mean --selector?"},
      {{"--something-else"}, "unknown flag: --something-else"},
      {{"-x"}, "unknown flag: -x"},
      {{"--to"}, "flag needs an argument: --to"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.given);
    CHECK(failure([&] { parsed(row.given); }) == row.message);
  }
  CHECK(failure([] { parsed({"-n"}); }).starts_with("flag needs an argument: -"));
  for (const Words& odd : std::vector<Words>{{"--all=maybe"}, {"--=x"}, {"---"}, {"--n", "x"}}) {
    CAPTURE(odd);
    CHECK(failure([&] { parsed(odd); }) != "no error");
  }
}
