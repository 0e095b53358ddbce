#include "common/kube/tracker.h"

#include <fmt/format.h>

#include <algorithm>

namespace kcni::kube {

Tracker::Tracker(Client client, Query query)
    : client_(client.shielded()), query_(std::move(query)) {}

Tracker::~Tracker() = default;

void Tracker::start() {
  task_.emplace(follow());
  task_->start();
}

void Tracker::wake() {
  for (auto* waiter : waiters_) waiter->ready();
}

Task<> Tracker::follow() {
  Until look = [this](const Snapshot& snapshot) {
    snapshot_ = &snapshot;
    wake();
    return false;
  };
  try {
    co_await list_then_watch(client_, query_, look);
  } catch (...) {
    error_ = std::current_exception();
    snapshot_ = nullptr;  // it went with the watch
    wake();
  }
}

Task<> Tracker::wait_until(Condition condition, Deadline deadline, http::OnInterrupt on_interrupt) {
  http::Waiter waiter(client_.loop(), deadline, on_interrupt);
  waiters_.insert(&waiter);
  struct Leave {
    std::set<http::Waiter*>& waiters;
    http::Waiter* waiter;
    ~Leave() { waiters.erase(waiter); }
  } leave{waiters_, &waiter};
  while (!snapshot_ || !condition(*snapshot_)) {
    if (error_) std::rethrow_exception(error_);
    auto outcome = co_await waiter;
    if (outcome == http::Waiter::Outcome::kTimedOut) throw TimedOut("timed out");
  }
}

Task<> Tracker::wait_until_looking(Deadline deadline) {
  Condition always = [](const Snapshot&) { return true; };
  try {
    co_await wait_until(always, deadline);
  } catch (const TimedOut&) {
    throw TimedOut(fmt::format("timed out listing {}", query_.resource->plural));
  }
}

Task<Snapshot> Tracker::first_look(Deadline deadline) {
  co_await wait_until_looking(deadline);
  co_return *snapshot_;
}

Task<> Tracker::wait_until_gone(std::string uid, Deadline deadline,
                                http::OnInterrupt on_interrupt) {
  Condition gone = [uid](const Snapshot& snapshot) {
    return std::none_of(snapshot.begin(), snapshot.end(),
                        [&](const auto& entry) { return uid_of(entry.second) == uid; });
  };
  co_await wait_until(gone, deadline, on_interrupt);
}

}  // namespace kcni::kube
