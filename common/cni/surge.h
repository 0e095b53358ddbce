// Moving the pods of a Deployment without a moment in which none is Ready: a rollout restart while
// their nodes are cordoned, so that each replacement is Ready elsewhere before its forerunner goes.
// An eviction takes the pod first and replaces it then.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "common/cni/workloads.h"
#include "common/kube/tracker.h"

namespace kcni::cni {

/// Why a rollout restart of this Deployment would not leave it a Ready pod at any moment, in words;
/// "" when it would: RollingUpdate with a maxSurge of at least one pod and a maxUnavailable of
/// fewer than it has, not paused. How percentages round: deployment/util.ResolveFenceposts.
std::string surge_refusal(const kube::Json& deployment);

/// Why its rollout will not end by itself (ProgressDeadlineExceeded, in the controller's words); ""
/// while it may.
std::string rollout_stuck(const kube::Json& deployment);

struct SurgeOptions {
  std::set<std::string> nodes;  ///< that are being emptied, and are cordoned
  bool tries = false;           ///< --dry-run: nothing is waited for
  bool read_only = false;       ///< --dry-run=client: nothing is written either
  Deadline deadline = Deadline::never();
  std::string timeout_text;
  std::function<void(const std::string&)> note, warn, waiting;
  /// A Deployment was restarted and all its pods are elsewhere.
  std::function<void(const Workload&)> done;
  std::function<void(const Error&)> report;
};

/// UIDs of pods.
struct Surged {
  std::set<std::string> held;   ///< their replacements do not come, so they should stay
  std::set<std::string> moved;  ///< in a dry run: they would go by their rollout
};

/// Restarts the Deployments of these pods that have Ready pods on those nodes only, a few at a
/// time, and waits for their rollouts. Those with Ready pods elsewhere, or none, are left to the
/// eviction, which their budgets guard; those that cannot surge are named by warn. One whose
/// rollout does not come to its end is report()ed.
Task<Surged> surge(kube::Client client, std::vector<kube::Json> pods, SurgeOptions options);

}  // namespace kcni::cni
