// The one exception type of the suite and the exit codes it maps to.
#pragma once

#include <stdexcept>
#include <string>

namespace kcni {

/// What a command's exit code tells a script; the same for every command (kubectl's 0 and 1,
/// and codes of our own where a runbook must tell the cases apart).
enum class ExitStatus {
  kDone = 0,           ///< done, also when there was nothing to do
  kFailed = 1,         ///< something failed; what, is on stderr
  kUsage = 2,          ///< wrong usage: nothing was tried
  kBlocked = 3,        ///< timed out, or blocked by something that is named
  kRefused = 4,        ///< refused for safety; the message names the flag that overrides
  kInterrupted = 130,  ///< Ctrl-C
};

/// Thrown when a command (or one object's part of it) cannot go on. what() is one line for the
/// user: which object, what is wrong, what to do. Caught once, in cli::run_main(), or where a
/// failure concerns one object of many.
class Error : public std::runtime_error {
 public:
  Error(ExitStatus status, const std::string& message)
      : std::runtime_error(message), status_(status) {}

  ExitStatus status() const { return status_; }

 private:
  ExitStatus status_;
};

inline Error failed(const std::string& message) {
  return {ExitStatus::kFailed, message};
}
inline Error wrong_usage(const std::string& message) {
  return {ExitStatus::kUsage, message};
}
inline Error refused(const std::string& message) {
  return {ExitStatus::kRefused, message};
}
inline Error blocked(const std::string& message) {
  return {ExitStatus::kBlocked, message};
}

/// A wait that its deadline ended.
class TimedOut : public Error {
 public:
  explicit TimedOut(const std::string& message) : Error(ExitStatus::kBlocked, message) {}
};

/// Ctrl-C (or SIGTERM) reached a wait that may be given up.
class Interrupted : public Error {
 public:
  Interrupted() : Error(ExitStatus::kInterrupted, "interrupted") {}
};

}  // namespace kcni
