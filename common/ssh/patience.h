// How long and how interruptibly to wait: the one place where this library blocks.
#pragma once

#include <atomic>
#include <string>

#include "common/base/deadline.h"
#include "common/base/error.h"

namespace kcni::ssh {

/// Set by a signal handler to end all waits with Interrupted; may be null.
using StopFlag = const std::atomic<bool>*;

class Patience {
 public:
  /// `whom` begins each message: "node/w1: ssh 10.0.0.1".
  Patience(std::string whom, Deadline deadline, StopFlag stop);

  /// The same, but given up after `limit` too: then an Error (kFailed), for it is this machine's
  /// fault and not the whole command's deadline.
  Patience limited(Milliseconds limit) const;

  /// Throws Interrupted, TimedOut (the deadline) or Error (the limit); `doing` completes
  /// "timed out while ...".
  void check(const std::string& doing) const;

  /// check(), then waits until `fd` is ready for `events` (poll's), at most a tenth of a second:
  /// the caller loops. Returns poll's revents.
  short wait(int fd, short events, const std::string& doing) const;

  /// What `call` returns. An Error that it throws after Ctrl-C, or less than `grace` before we hear
  /// of it, becomes Interrupted: the signal also ends the process of a ProxyJump, and a connection
  /// lost for that is no failure of its own.
  template <typename Call>
  auto interrupted_first(Milliseconds grace, Call call) const {
    try {
      return call();
    } catch (const Error&) {
      if (stopped_within(grace)) throw Interrupted();
      throw;
    }
  }

 private:
  bool stopped_within(Milliseconds time) const;

  std::string whom_;
  Deadline deadline_;
  Deadline limit_;
  StopFlag stop_;
};

}  // namespace kcni::ssh
