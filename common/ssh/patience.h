// How long and how interruptibly to wait: the one place where this library blocks.
#pragma once

#include <atomic>
#include <string>

#include "common/base/deadline.h"

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

 private:
  std::string whom_;
  Deadline deadline_;
  Deadline limit_;
  StopFlag stop_;
};

}  // namespace kcni::ssh
