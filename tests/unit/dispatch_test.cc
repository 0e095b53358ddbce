// kubectl cni WORD: which word, which program, and what is said when there is none.
#include "common/cli/dispatch.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/cli/nearest.h"
#include "common/cli/shared_flags.h"
#include "tests/unit/catch.h"

namespace fs = std::filesystem;

using kcni::Error;
using kcni::ExitStatus;
using namespace kcni::cli;
using Words = std::vector<std::string>;

namespace {

CommandLine first(const Words& arguments) {
  cxxopts::Options known("kubectl cni");
  add_common_flags(known, "0");
  add_connection_flags(known);
  return command_first(arguments, known);
}

std::string usage_error(const Words& arguments) {
  try {
    first(arguments);
  } catch (const Error& error) {
    CHECK(error.status() == ExitStatus::kUsage);
    return error.what();
  }
  return "no error";
}

/// Directories with kubectl-cni-* files in them, gone with the test.
class Directories {
 public:
  Directories() {
    std::string pattern = (fs::temp_directory_path() / "kcni-dispatch-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  ~Directories() { fs::remove_all(root_); }

  std::string path(const std::string& directory, const std::string& file = "") const {
    return (root_ / directory / file).string();
  }
  std::string add(const std::string& directory, const std::string& file, bool executable = true) {
    fs::create_directories(root_ / directory);
    const auto name = path(directory, file);
    std::ofstream(name) << "#!/bin/sh\n";
    fs::permissions(name, executable ? fs::perms::owner_all : fs::perms::owner_read);
    return name;
  }

 private:
  fs::path root_;
};

}  // namespace

TEST_CASE("flags before the command go behind it") {
  struct Row {
    Words given;
    std::string word;
    Words arguments;
  };
  const std::vector<Row> rows{
      {{}, "", {}},
      {{"label"}, "label", {}},
      {{"label", "w1", "--to", "none"}, "label", {"w1", "--to", "none"}},
      {{"--context", "c", "label", "w1"}, "label", {"--context", "c", "w1"}},
      {{"--context=c", "label", "w1"}, "label", {"--context=c", "w1"}},
      {{"-n", "shop", "pin", "--all"}, "pin", {"-n", "shop", "--all"}},
      {{"-n=shop", "pin"}, "pin", {"-n=shop"}},
      {{"-nshop", "-s", "https://x", "pin"}, "pin", {"-nshop", "-s", "https://x"}},
      {{"--dry-run", "pin", "a"}, "pin", {"--dry-run", "a"}},
      {{"--dry-run=server", "pin"}, "pin", {"--dry-run=server"}},
      {{"--insecure-skip-tls-verify", "pin"}, "pin", {"--insecure-skip-tls-verify"}},
      {{"-v", "6", "pin"}, "pin", {"-v", "6"}},
      {{"-v6", "--v=6", "pin"}, "pin", {"-v6", "--v=6"}},
      {{"--as-group", "a,b", "--as", "x", "evict", "--", "-x"},
       "evict",
       {"--as-group", "a,b", "--as", "x", "--", "-x"}},
      {{"--help"}, "", {"--help"}},
      {{"-h", "label"}, "label", {"-h"}},
      {{"--context", "label"}, "", {"--context", "label"}},
      {{"--token", "-x", "pin"}, "pin", {"--token", "-x"}},
      {{"--token", "", "pin"}, "pin", {"--token", ""}},
      {{"-"}, "-", {}},
      {{""}, "", {}},
  };
  for (const auto& row : rows) {
    CAPTURE(row.given);
    const auto line = first(row.given);
    CHECK(line.word == row.word);
    CHECK(line.arguments == row.arguments);
  }
}

TEST_CASE("flags of one command cannot stand before its name") {
  CHECK(usage_error({"--to", "none", "label"}) ==
        "unknown flag: --to; flags of a command come after its name");
  CHECK(usage_error({"--ssh-key=x", "cleanup"}) ==
        "unknown flag: --ssh-key; flags of a command come after its name");
  CHECK(usage_error({"-l", "x", "label"}) ==
        "unknown flag: -l; flags of a command come after its name");
  CHECK(usage_error({"--context"}) == "flag needs an argument: --context");
  CHECK(usage_error({"--", "label"}) == "the command must come before --");
}

TEST_CASE("our own directory is searched first, then PATH's") {
  CHECK(search_directories("/own", "/a:/b") == Words{"/own", "/a", "/b"});
  CHECK(search_directories("/own", "/a:/own::/a:") == Words{"/own", "/a"});
  CHECK(search_directories("", "/a") == Words{"/a"});
  CHECK(search_directories("", "").empty());
}

TEST_CASE("a command is found in the first directory that has it") {
  Directories files;
  const auto own = files.add("own", "kubectl-cni-label");
  files.add("path", "kubectl-cni-label");
  const auto recreate = files.add("path", "kubectl-cni-svc-recreate");
  const auto theirs = files.add("path", "kubectl-cni-their_own");
  const auto dull = files.add("own", "kubectl-cni-dull", false);
  const auto blocked = files.add("own", "kubectl-cni-pin", false);
  const auto pin = files.add("path", "kubectl-cni-pin");
  fs::create_directories(files.path("own", "kubectl-cni-folder"));
  const Words where{files.path("missing"), files.path("own"), files.path("path")};

  CHECK(find_command(where, "label") == own);
  CHECK(find_command(where, "svc-recreate") == recreate);
  CHECK(find_command(where, "svc_recreate") == recreate);
  CHECK(find_command(where, "their-own") == theirs);
  CHECK(find_command(where, "pin") == pin);
  for (const auto* word : {"", "labl", "folder", "../own/x", "/bin/sh"}) {
    CAPTURE(word);
    CHECK_FALSE(find_command(where, word));
  }
  CHECK(all_commands(where) == Words{"label", "pin", "svc-recreate", "their_own"});
  if (geteuid() != 0) CHECK(access(dull.c_str(), X_OK) != 0);
  CHECK_THROWS_WITH(find_command(where, "dull"),
                    "cannot run " + dull + ": it is not executable; chmod +x helps");
  CHECK_THROWS_AS(find_command({files.path("own")}, "pin"), Error);
}

TEST_CASE("alone it lists its commands") {
  const auto text = overview("kubectl cni", {"label", "migrate", "their_own"});
  CHECK(text.find("Usage:\n  kubectl cni COMMAND [FLAGS]\n") != text.npos);
  CHECK(text.find("\n  label         Say ") != text.npos);
  CHECK(text.find("\n  migrate       The whole migration from flannel to Cilium, step by step\n") !=
        text.npos);
  for (const auto* word : {"pin", "evict", "cleanup", "svc-recreate"}) {
    const auto at = text.find(std::string("\n  ") + word + " ");
    REQUIRE(at != text.npos);
    CHECK(text.substr(at + 1, text.find('\n', at + 1) - at - 1).ends_with(" (not installed)"));
  }
  CHECK(text.find("\nOther commands that were found:\n  their_own\n") != text.npos);
  CHECK(text.ends_with("\nUse \"kubectl cni COMMAND --help\" for more about a command.\n"));
  CHECK(overview("x", {"label"}).find("Other") == text.npos);
}

TEST_CASE("an unknown command names the nearest one") {
  struct Row {
    const char *word, *message;
    ExitStatus status;
  };
  const std::vector<Row> rows{
      {"labl", "unknown command \"labl\" for \"kubectl cni\"; did you mean \"label\"?",
       ExitStatus::kUsage},
      {"their-owm",
       "unknown command \"their-owm\" for \"kubectl cni\"; did you mean \"their-own\"?",
       ExitStatus::kUsage},
      {"drain", "unknown command \"drain\" for \"kubectl cni\"", ExitStatus::kUsage},
      {"evict", "cannot find kubectl-cni-evict: it is not installed beside kubectl-cni nor on PATH",
       ExitStatus::kFailed},
  };
  for (const auto& row : rows) {
    const auto error = unknown_command("kubectl cni", row.word, {"label", "their-own"});
    CHECK(std::string(error.what()) == row.message);
    CHECK(error.status() == row.status);
  }
}

TEST_CASE("the nearest word is a misspelling, not just another short word") {
  const Words words{"label", "pin", "evict"};
  CHECK(nearest_word("lable", words) == "label");
  CHECK(nearest_word("evit", words) == "evict");
  CHECK(nearest_word("pni", words) == "pin");
  CHECK(nearest_word("pin", words) == "pin");
  CHECK(nearest_word("ab", words).empty());
  CHECK(nearest_word("", words).empty());
  CHECK(nearest_word("cleanup", words).empty());
  CHECK(nearest_word("x", {}).empty());
}
