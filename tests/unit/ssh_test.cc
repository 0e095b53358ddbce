#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>

#include "common/base/error.h"
#include "common/ssh/patience.h"
#include "common/ssh/pool.h"
#include "common/ssh/session.h"
#include "common/ssh/tcp.h"
#include "common/ssh/text.h"
#include "tests/unit/catch.h"

using namespace kcni;
using namespace std::chrono_literals;

namespace {

template <typename Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("ssh: what a node says becomes one printable line") {
  CHECK(ssh::one_line("  a\r\n\tb  ") == "a b");
  CHECK(ssh::one_line("\x1b[31mred").find('\x1b') == std::string::npos);
  CHECK(ssh::one_line("") == "");
  CHECK(ssh::last_line("first\nsudo: a password is required\n\n") ==
        "sudo: a password is required");
  CHECK(ssh::last_line("one") == "one");
  CHECK(ssh::last_line("\n \n") == "");
}

TEST_CASE("ssh: a quoted argument is one word for any shell") {
  CHECK(ssh::quote("net=10.0.0.0/8") == "'net=10.0.0.0/8'");
  CHECK(ssh::quote("$(touch /x); 'y'") == "'$(touch /x); '\\''y'\\'''");
  CHECK(ssh::quote("") == "''");
}

TEST_CASE("ssh: the pool keeps the order, the bound, and goes on after a failure") {
  std::atomic<int> running{0}, most{0};
  std::vector<std::function<int()>> jobs;
  for (int i = 0; i < 12; ++i) {
    jobs.emplace_back([&, i] {
      int now = ++running;
      for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
      }
      std::this_thread::sleep_for(2ms);
      --running;
      return i * i;
    });
  }
  std::vector<std::size_t> ended;
  auto results = ssh::run_parallel<int>(3, jobs, [&](std::size_t i, const int& result) {
    CHECK(result == static_cast<int>(i * i));
    ended.push_back(i);
  });
  REQUIRE(results.size() == 12);
  CHECK(results[11] == 121);
  CHECK(ended.size() == 12);
  CHECK(most <= 3);

  std::atomic<int> ran{0};
  std::vector<std::function<int()>> failing(4, [&]() -> int {
    if (ran++ == 0) throw failed("first");
    return 1;
  });
  CHECK(error_of([&] { ssh::run_parallel<int>(1, failing); }) == "first");
  CHECK(ran == 4);
  CHECK(ssh::run_parallel<int>(8, {}).empty());
}

TEST_CASE("ssh: waits end by flag, by deadline, by limit, each in its own way") {
  std::atomic<bool> stop{false};
  ssh::Patience patience("node/w1: ssh h", Deadline::never(), &stop);
  CHECK_NOTHROW(patience.check("connecting"));
  CHECK(error_of([&] {
          auto limited = patience.limited(1ms);
          std::this_thread::sleep_for(3ms);
          limited.check("connecting");
        }) == "node/w1: ssh h: timed out while connecting");
  stop = true;
  CHECK_THROWS_AS(patience.check("connecting"), Interrupted);
  ssh::Patience late("node/w1: ssh h", Deadline::after(1ms), nullptr);
  std::this_thread::sleep_for(3ms);
  CHECK_THROWS_AS(late.check("connecting"), TimedOut);
}

TEST_CASE("ssh: a refused connection and an unknown name say so") {
  ssh::Patience patience("node/w1: ssh h", Deadline::after(5s), nullptr);
  CHECK(error_of([&] { ssh::connect_tcp("node/w1: ssh h", "127.0.0.1", 1, patience); }) ==
        "node/w1: ssh h: Connection refused");
  CHECK(error_of([&] {
          ssh::connect_tcp("node/w1: ssh h", "no.such.invalid", 1, patience);
        }).starts_with("node/w1: ssh h: cannot look up \"no.such.invalid\": "));
}

TEST_CASE("ssh: a host with a shell's characters is refused before anything is started") {
  for (const char* host : {"", "-oProxyCommand=x", "a b", "$(touch /x)", "a;b", "root@h"}) {
    CAPTURE(host);
    CHECK(error_of([&] {
            ssh::Session session({"node/w1", host, {}}, {}, Deadline::after(5s));
          }).find("is no host to log into") != std::string::npos);
  }
}

TEST_CASE("ssh: an option is a line of ssh_config that libssh understands") {
  CHECK(ssh::config_line("ProxyJump=bastion") == "ProxyJump bastion");
  CHECK(ssh::config_line(" Port = 2222 ") == "Port 2222");
  for (const char* option : {"", "Port", "=2222", "Port=", "Nonsense=1", "Port=1\nUser=x"}) {
    CAPTURE(option);
    CHECK_THROWS_AS(ssh::config_line(option), Error);
  }
  CHECK(error_of([] { ssh::config_line("Nonsense=1"); }) ==
        "--ssh-option Nonsense=1: no such keyword in ssh_config(5)");
}

TEST_CASE("ssh: one passphrase serves all sessions; a wrong one is asked for again") {
  int asked = 0;
  ssh::Passphrases passphrases([&](const std::string& prompt) {
    CHECK(prompt.ends_with("Passphrase for ~/key: "));
    return ssh::make_passphrase(++asked == 1 ? "wrong" : "right");
  });
  ssh::Patience patience("node/w1: ssh h", Deadline::after(5s), nullptr);
  std::atomic<int> right{0}, ended{0};
  {
    std::vector<std::jthread> sessions;
    for (int i = 0; i < 4; ++i) {
      sessions.emplace_back([&] {
        ssh::Passphrase answer;
        while ((answer = passphrases.get("~/key", answer, patience)) && *answer != "right") {
        }
        right += answer && *answer == "right";
        ++ended;
      });
    }
    while (ended < 4) passphrases.serve();
  }
  CHECK(right == 4);
  CHECK(asked == 2);
  ssh::Passphrases nobody([](const std::string&) { return nullptr; });
  std::jthread server([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) nobody.serve();
  });
  CHECK_FALSE(nobody.get("~/key", {}, patience));
  CHECK_FALSE(nobody.get("~/key", {}, patience));
}

TEST_CASE("ssh: a wrong passphrase is let go, to be wiped, before the next is asked for") {
  std::weak_ptr<const std::string> wrong;
  int asked = 0;
  bool let_go = false;
  ssh::Passphrases passphrases([&](const std::string&) {
    if (asked++ > 0) {
      let_go = wrong.expired();
      return ssh::make_passphrase("right");
    }
    auto typed = ssh::make_passphrase("wrong");
    wrong = typed;
    return typed;
  });
  ssh::Patience patience("node/w1: ssh h", Deadline::after(5s), nullptr);
  std::jthread server([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) passphrases.serve();
  });
  auto answer = passphrases.get("~/key", nullptr, patience);
  answer = passphrases.get("~/key", std::move(answer), patience);
  CHECK(*answer == "right");
  CHECK(let_go);
}

TEST_CASE("ssh: after Ctrl-C or the deadline nobody is asked for a passphrase") {
  std::atomic<bool> stop{false};
  std::atomic<int> interrupted{0};
  int asked = 0;
  ssh::Passphrases passphrases([&](const std::string&) -> ssh::Passphrase {
    ++asked;
    stop = true;
    return nullptr;
  });
  ssh::Patience patience("node/w1: ssh h", Deadline::never(), &stop);
  ssh::Patience late("node/w1: ssh h", Deadline::after(1ms), nullptr);
  {
    std::vector<std::jthread> sessions;
    for (const char* key : {"~/a", "~/b", "~/c"}) {
      sessions.emplace_back([&, key] {
        interrupted += error_of([&] { passphrases.get(key, nullptr, patience); }) == "interrupted";
      });
    }
    while (interrupted < 3) passphrases.serve();
  }
  CHECK(asked == 1);
  CHECK(interrupted == 3);
  std::this_thread::sleep_for(3ms);
  CHECK_THROWS_AS(passphrases.get("~/d", nullptr, late), TimedOut);
}

TEST_CASE("ssh: a connection that Ctrl-C has cut is an interruption") {
  std::atomic<bool> stop{false};
  ssh::Patience patience("node/w1: ssh h", Deadline::never(), &stop);
  auto lose = []() -> int { throw failed("connection lost"); };
  CHECK(patience.interrupted_first(0ms, [] { return 1; }) == 1);
  CHECK(error_of([&] { patience.interrupted_first(0ms, lose); }) == "connection lost");
  stop = true;
  CHECK_THROWS_AS(patience.interrupted_first(0ms, lose), Interrupted);
  stop = false;
  std::jthread late([&] {
    std::this_thread::sleep_for(20ms);
    stop = true;
  });
  CHECK_THROWS_AS(patience.interrupted_first(5s, lose), Interrupted);
}
