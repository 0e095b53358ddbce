#include "common/http/signals.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <array>

#include "common/base/error.h"

namespace kcni::http {

namespace {

std::array<int, 2> pipe_ends{-1, -1};
std::atomic<bool> seen{false};

constexpr long kSameSignalMs = 300;

long now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);  // async-signal-safe
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

// A terminal that is closed sends its SIGHUP more than once, so that one is never a second Ctrl-C.
// A wrapper that hands on what the terminal sent to the whole group makes one Ctrl-C arrive twice:
// only a signal that comes later is the user's second.
void on_signal(int number) {
  static std::atomic<long> first_ms{0};
  if (!seen.exchange(true)) {
    first_ms = now_ms();
  } else if (number != SIGHUP && now_ms() - first_ms > kSameSignalMs) {
    _exit(static_cast<int>(ExitStatus::kInterrupted));
  }
  char byte = 0;
  [[maybe_unused]] auto written = write(pipe_ends[1], &byte, 1);
}

}  // namespace

int signal_descriptor() {
  static const bool installed = [] {
    if (pipe2(pipe_ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) throw failed("cannot make a pipe");
    struct sigaction action = {};
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    struct sigaction before = {};
    sigaction(SIGHUP, nullptr, &before);
    if (before.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);  // nohup goes on
    signal(SIGPIPE, SIG_IGN);
    return true;
  }();
  (void)installed;
  return pipe_ends[0];
}

bool take_signal() {
  std::array<char, 16> bytes;
  return read(signal_descriptor(), bytes.data(), bytes.size()) > 0;
}

const std::atomic<bool>& stop_flag() {
  return seen;
}

}  // namespace kcni::http
