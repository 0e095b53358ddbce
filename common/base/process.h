// Running another program and taking what it prints. No shell is involved.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace kcni {

struct Command {
  std::vector<std::string> argv;  ///< argv[0] without a slash is looked up on PATH
  std::vector<std::string> env;   ///< "NAME=value", on top of our own environment
  bool inherit_stdin = false;     ///< else it reads /dev/null
  std::size_t max_output = std::size_t{10} << 20;
};

/// How a program ended. Just one of the first three says so.
struct ProcessResult {
  int start_error = 0;  ///< errno when it could not be started (ENOENT: there is no such program)
  int signal = 0;       ///< that killed it
  int exit_code = 0;
  bool output_too_long = false;  ///< it was killed for printing more than max_output
  std::string output;            ///< its stdout

  bool succeeded() const {
    return start_error == 0 && signal == 0 && exit_code == 0 && !output_too_long;
  }
};

/// Runs it and blocks until it has ended and closed its stdout. Its stderr is ours. It gets no
/// other descriptor of ours and default signal handling. Throws Error (kFailed) only when the
/// system has no descriptors left.
ProcessResult run(const Command& command);

/// Our environment with some variables set; of one name the last wins.
std::vector<std::string> merged_environment(const std::vector<std::string>& inherited,
                                            const std::vector<std::string>& changes);

}  // namespace kcni
