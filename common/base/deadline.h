// A point in time after which a wait is given up.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

namespace kcni {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

class Deadline {
 public:
  /// Waits for ever.
  static Deadline never() { return Deadline(std::nullopt); }

  /// From now on; zero means never, as in kubectl's --timeout=0.
  static Deadline after(Milliseconds duration) {
    if (duration == Milliseconds::zero()) return never();
    return Deadline(Clock::now() + duration);
  }

  bool passed() const { return when_ && Clock::now() >= *when_; }

  /// The time left, never negative; nullopt when there is no deadline.
  std::optional<Milliseconds> left() const {
    if (!when_) return std::nullopt;
    auto rest = std::chrono::ceil<Milliseconds>(*when_ - Clock::now());
    return std::max(rest, Milliseconds::zero());
  }

  std::optional<Clock::time_point> when() const { return when_; }

  /// Whichever comes first.
  Deadline earlier(const Deadline& other) const {
    if (!when_) return other;
    if (!other.when_) return *this;
    return Deadline(std::min(*when_, *other.when_));
  }

 private:
  explicit Deadline(std::optional<Clock::time_point> when) : when_(when) {}

  std::optional<Clock::time_point> when_;
};

}  // namespace kcni
