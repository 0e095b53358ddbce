// What several waits that run beside each other still miss, told as one line.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace kcni::cni {

class Missing {
 public:
  /// progress gets a line about what all of them miss whenever that changes.
  explicit Missing(std::function<void(const std::string&)> progress)
      : progress_(std::move(progress)) {}

  /// What the wait of that number misses now. Returns whether that is nothing.
  bool update(std::size_t wait, std::vector<std::string> lines);

  /// What it missed last.
  const std::vector<std::string>& of(std::size_t wait) { return by_wait_[wait]; }

 private:
  std::function<void(const std::string&)> progress_;
  std::map<std::size_t, std::vector<std::string>> by_wait_;
};

}  // namespace kcni::cni
