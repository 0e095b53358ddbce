#include "common/base/process.h"

#include <cerrno>
#include <csignal>

#include "tests/unit/catch.h"

namespace kcni {

namespace {

Command shell(const std::string& script) {
  Command command;
  command.argv = {"sh", "-c", script};
  return command;
}

}  // namespace

TEST_CASE("run() gives stdout and exit code") {
  const auto result = run(shell("printf hello; exit 7"));
  CHECK(result.output == "hello");
  CHECK(result.exit_code == 7);
  CHECK_FALSE(result.succeeded());
  CHECK(run(shell("cat")).succeeded());
}

TEST_CASE("run() passes no descriptor on but the three") {
  CHECK(run(shell("ls /proc/self/fd | wc -l")).output == "4\n");
}

TEST_CASE("run() tells a missing program and a signal") {
  Command command;
  command.argv = {"kcni-no-such-program"};
  CHECK(run(command).start_error == ENOENT);
  CHECK(run(shell("kill -TERM $$")).signal == SIGTERM);
}

TEST_CASE("run() ends what prints too much") {
  auto command = shell("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxx; done");
  command.max_output = 100'000;
  CHECK(run(command).output_too_long);
}

TEST_CASE("merged_environment() lets the last win") {
  CHECK(merged_environment({"A=1", "B=2", "A=3"}, {"A=4", "C=5", "A=6"}) ==
        std::vector<std::string>{"B=2", "C=5", "A=6"});
}

}  // namespace kcni
