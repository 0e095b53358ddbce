// One watch, and any number of waits on what it sees.
#pragma once

#include <exception>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "common/kube/watch.h"

namespace kcni::kube {

/// Watches from start() until it is destroyed. Keep it alive as long as anybody waits. Its own
/// watch is shielded: whether Ctrl-C ends a wait is for the one who waits to say.
class Tracker {
 public:
  Tracker(Client client, Query query);
  ~Tracker();
  Tracker(const Tracker&) = delete;
  Tracker& operator=(const Tracker&) = delete;

  void start();

  /// What is there to begin with. Throws as wait_until().
  Task<Snapshot> first_look(Deadline deadline);

  /// Until it sees anything at all, for whoever acts on what it is to see. Throws as wait_until().
  Task<> wait_until_looking(Deadline deadline);

  /// What it sees now; null before the first list, and after the watch has failed.
  const Snapshot* now() const { return snapshot_; }

  using Condition = std::function<bool(const Snapshot&)>;
  /// Until the condition holds. Throws TimedOut, Interrupted, and what ended the watch.
  Task<> wait_until(Condition condition, Deadline deadline,
                    http::OnInterrupt on_interrupt = http::OnInterrupt::kThrow);

  /// Until the object with this UID is not seen any more, whatever has its name now.
  Task<> wait_until_gone(std::string uid, Deadline deadline,
                         http::OnInterrupt on_interrupt = http::OnInterrupt::kThrow);

 private:
  Task<> follow();
  void wake();

  Client client_;
  Query query_;
  const Snapshot* snapshot_ = nullptr;  ///< the watch's own; null before the first list
  std::exception_ptr error_;
  std::set<http::Waiter*> waiters_;
  std::optional<Task<>> task_;
};

}  // namespace kcni::kube
