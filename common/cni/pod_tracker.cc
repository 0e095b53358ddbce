#include "common/cni/pod_tracker.h"

#include <algorithm>

namespace kcni::cni {

PodTracker::PodTracker(kube::Client client, std::string node, std::string label_selector)
    : client_(client.shielded()),
      node_(std::move(node)),
      label_selector_(std::move(label_selector)) {}

PodTracker::~PodTracker() = default;

void PodTracker::start() {
  task_.emplace(follow());
  task_->start();
}

void PodTracker::wake() {
  for (auto* waiter : waiters_) waiter->ready();
}

Task<> PodTracker::follow() {
  kube::Query query;
  query.resource = &kube::kPods;
  query.field_selector = "spec.nodeName=" + node_;
  query.label_selector = label_selector_;
  kube::Until look = [this](const kube::Snapshot& snapshot) {
    snapshot_ = &snapshot;
    wake();
    return false;
  };
  try {
    co_await kube::list_then_watch(client_, query, look);
  } catch (...) {
    error_ = std::current_exception();
    snapshot_ = nullptr;  // it went with the watch
    wake();
  }
}

Task<> PodTracker::wait_until(Condition condition, Deadline deadline,
                              http::OnInterrupt on_interrupt) {
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

Task<kube::Snapshot> PodTracker::first_look(Deadline deadline) {
  Condition always = [](const kube::Snapshot&) { return true; };
  co_await wait_until(always, deadline);
  co_return *snapshot_;
}

Task<> PodTracker::wait_until_gone(std::string uid, Deadline deadline,
                                   http::OnInterrupt on_interrupt) {
  Condition gone = [uid](const kube::Snapshot& pods) {
    return std::none_of(pods.begin(), pods.end(),
                        [&](const auto& entry) { return kube::uid_of(entry.second) == uid; });
  };
  co_await wait_until(gone, deadline, on_interrupt);
}

}  // namespace kcni::cni
