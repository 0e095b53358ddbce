// One watch on a node's pods, and any number of waits on what it sees.
#pragma once

#include <exception>
#include <functional>
#include <set>
#include <string>

#include "common/kube/watch.h"

namespace kcni::cni {

/// Watches from start() until it is destroyed. Keep it alive as long as anybody waits. Its own
/// watch is shielded: whether Ctrl-C ends a wait is for the one who waits to say.
class PodTracker {
 public:
  PodTracker(kube::Client client, std::string node, std::string label_selector);
  ~PodTracker();
  PodTracker(const PodTracker&) = delete;
  PodTracker& operator=(const PodTracker&) = delete;

  void start();

  /// The pods that are on the node to begin with. Throws as wait_until().
  Task<kube::Snapshot> first_look(Deadline deadline);

  using Condition = std::function<bool(const kube::Snapshot&)>;
  /// Until the condition holds of the pods on the node. Throws TimedOut, Interrupted, and what
  /// ended the watch.
  Task<> wait_until(Condition condition, Deadline deadline,
                    http::OnInterrupt on_interrupt = http::OnInterrupt::kThrow);

  /// Until the pod with this UID is no longer on the node, whatever has its name now.
  Task<> wait_until_gone(std::string uid, Deadline deadline,
                         http::OnInterrupt on_interrupt = http::OnInterrupt::kThrow);

 private:
  Task<> follow();
  void wake();

  kube::Client client_;
  std::string node_;
  std::string label_selector_;
  const kube::Snapshot* snapshot_ = nullptr;  ///< the watch's own; null before the first list
  std::exception_ptr error_;
  std::set<http::Waiter*> waiters_;
  std::optional<Task<>> task_;
};

}  // namespace kcni::cni
