// Carries out what common/cni/in_place.h plans: pins without restarting a pod.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "common/cli/command.h"
#include "common/cni/in_place.h"
#include "common/kube/tracker.h"

namespace kcni::pin {

/// One watch a kind, begun when somebody waits for the first time.
class Trackers {
 public:
  Trackers(kube::Client client, std::string ns) : client_(std::move(client)), ns_(std::move(ns)) {}
  kube::Tracker& of(const kube::Resource& resource);

 private:
  kube::Client client_;
  std::string ns_;
  std::map<const kube::Resource*, std::unique_ptr<kube::Tracker>> trackers_;
};

class InPlace {
 public:
  InPlace(cli::Context& context, const cni::PinWish& wish, Trackers& trackers)
      : context_(context), client_(context.client()), wish_(wish), trackers_(trackers) {}

  /// Changes the template, restarts nothing, and puts back what it had to change. False after a
  /// conflict in the first write: somebody else changed the object. From that write on Ctrl-C waits
  /// until the object is whole again. Throws Error that says in which state the object was left.
  Task<bool> pin(cni::Workload& workload);

  /// Goes on where an interrupted run, or this one, stopped: the template is as wished already.
  Task<> finish(cni::Workload& workload);

  /// Puts back what is remembered, whatever follows: a StatefulSet's pods may roll. Throws Error
  /// that says in which state the object was left.
  Task<> put_back(cni::Workload& workload);

  /// Its template was changed by somebody else while it was pinned, and that change rolls.
  bool rolls_after_all(const cni::Workload& workload) const;

  /// Waits until its controller has seen it as it is: a moment, for nobody need ask for that.
  Task<> wait_seen(cni::Workload& workload);

  /// Waits until its rollout is over: with --wait, before it is pinned.
  Task<> wait_settled(cni::Workload& workload, const std::string& why);

 private:
  Task<> finish_deployment(cni::Workload& workload);
  Task<> finish_other(cni::Workload& workload);
  Task<> align_replica_set(const cni::Workload& workload, const kube::Json& replica_set);
  Task<kube::Json> current_replica_set(const cni::Workload& workload);
  Task<> take_back(cni::Workload& workload, const kube::Json& before);
  Task<bool> wait_observed(cni::Workload& workload, bool updated);
  Task<> finish_or_tell(cni::Workload& workload);
  Task<> or_tell(cni::Workload& workload, Task<> task);
  Task<> write_back(cni::Workload& workload);
  Task<> let_roll(cni::Workload& workload);
  Task<> reread(cni::Workload& workload);
  static Deadline soon();

  cli::Context& context_;
  kube::Client client_;
  const cni::PinWish& wish_;
  Trackers& trackers_;
  std::set<std::string> rolling_;  ///< UIDs
};

}  // namespace kcni::pin
