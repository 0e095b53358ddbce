// SIGINT, SIGTERM and, unless it is ignored, SIGHUP as something an event loop can poll.
#pragma once

#include <atomic>

namespace kcni::http {

/// Installs the handlers once and returns a descriptor that becomes readable at each signal. The
/// first signal is for the program to deal with in its own time; the second (a SIGHUP is
/// none) ends it at once with exit code 130.
int signal_descriptor();

/// Takes what has come; true when there was a signal since the last call.
bool take_signal();

/// True from the first signal on; for threads that wait on something else than the loop.
const std::atomic<bool>& stop_flag();

}  // namespace kcni::http
