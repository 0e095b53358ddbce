#include "common/ssh/patience.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "common/base/error.h"

namespace kcni::ssh {

namespace {

// Short enough for Ctrl-C to feel immediate, long enough to cost nothing.
constexpr Milliseconds kSlice{100};

}  // namespace

Patience::Patience(std::string whom, Deadline deadline, StopFlag stop)
    : whom_(std::move(whom)), deadline_(deadline), limit_(Deadline::never()), stop_(stop) {}

Patience Patience::limited(Milliseconds limit) const {
  Patience copy = *this;
  copy.limit_ = Deadline::after(limit);
  return copy;
}

void Patience::check(const std::string& doing) const {
  if (stop_ && stop_->load()) throw Interrupted();
  auto message = [&] { return fmt::format("{}: timed out while {}", whom_, doing); };
  if (deadline_.passed()) throw TimedOut(message());
  if (limit_.passed()) throw failed(message());
}

bool Patience::stopped_within(Milliseconds time) const {
  constexpr Milliseconds kStep{10};
  for (; stop_ && !stop_->load() && time > Milliseconds::zero(); time -= kStep) {
    std::this_thread::sleep_for(kStep);
  }
  return stop_ && stop_->load();
}

short Patience::wait(int fd, short events, const std::string& doing) const {
  check(doing);
  auto left = deadline_.earlier(limit_).left().value_or(kSlice);
  pollfd entry{.fd = fd, .events = events, .revents = 0};
  poll(&entry, 1, static_cast<int>(std::min(left, kSlice).count()));
  return entry.revents;
}

}  // namespace kcni::ssh
