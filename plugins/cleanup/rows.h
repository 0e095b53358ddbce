// What each node that is being visited is at, for the screen.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "common/base/deadline.h"
#include "common/cli/command.h"

namespace kcni::cleanup {

/// One row a node under way, and a bar below them that counts those that have ended. set() may be
/// called from any thread, done() and draw() only from the one that owns the screen.
class Rows {
 public:
  Rows(cli::Context& context, std::size_t total) : context_(context), total_(total) {}

  void set(const std::string& node, const std::string& state);
  /// Takes all off the screen, so that its result is told before it is counted; then draw() again.
  void done(const std::string& node);
  /// Without a terminal only what takes long is worth a line.
  void draw();

 private:
  struct Row {
    std::string state;
    Clock::time_point since;
  };

  cli::Context& context_;
  std::size_t total_;
  std::size_t ended_ = 0;
  std::mutex mutex_;
  std::map<std::string, Row> rows_;
};

}  // namespace kcni::cleanup
