// The pin in a workload's history: `kubectl rollout undo` would bring it back, for a label that no
// node has any more. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "common/kube/json.h"

namespace kcni::cni {

struct OldReplicaSet {
  const kube::Json* object;
  /// Without the pin its template would be another's. It has to go then: the controller rolls to
  /// the oldest ReplicaSet that equals the Deployment's template.
  bool duplicate;
};

/// The scaled-down ReplicaSets of a Deployment that still carry a pin of ours, which the Deployment
/// itself has lost. `replica_sets`: all of this Deployment. The pointers point into it.
std::vector<OldReplicaSet> pinned_history(const kube::Json& deployment,
                                          const std::vector<const kube::Json*>& replica_sets,
                                          const std::string& key);

/// Takes the pin and our annotations off a ReplicaSet's template; with its resourceVersion.
kube::Json unpin_history_patch(const kube::Json& replica_set, const std::string& key);

/// A ControllerRevision of a StatefulSet or DaemonSet whose template has the key.
bool revision_selects(const kube::Json& controller_revision, const std::string& key);

}  // namespace kcni::cni
