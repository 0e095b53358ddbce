// Pinning a workload without restarting a pod: what has to be written, and whether its state allows
// it. Pure functions; plugins/pin/in_place.cc carries them out.
//
// A Deployment is paused, its template and its current ReplicaSet's are changed alike, and it goes
// on when its controller has found them equal: nothing rolls (deployment/util.FindNewReplicaSet
// compares templates, not hashes). A StatefulSet or DaemonSet waits with updateStrategy OnDelete
// until its pods have moved or the pin is taken off. What is to be put back is remembered in an
// annotation, in the same write.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/cni/pin_plan.h"

namespace kcni::cni {

/// How the template of a workload is changed.
enum class PinWay {
  kTemplate,  ///< simply: nothing rolls by itself, or there is no pod
  kInPlace,
  kRollout,
};

/// What the cluster has around a workload. The pointers live as long as the lists they point into.
struct Surroundings {
  std::vector<const kube::Json*> pods;  ///< its pods, less finished ones and those being deleted
  std::vector<const kube::Json*> replica_sets;  ///< of a Deployment
  std::vector<const kube::Json*> nodes;
};

struct PinDecision {
  PinWay way = PinWay::kTemplate;
  std::string refusal;      ///< why it cannot be now; "" when it can
  bool may_settle = false;  ///< with a refusal: it will pass by itself
  bool unobserved = false;  ///< with a refusal: its controller needs a moment to see a change
  std::string idle;  ///< why its pods will not follow by themselves; "" when they do or need not
};

/// In place where every pod is on a node that the pin allows, or (taking it off) no pod was born
/// with it; by a rollout otherwise; or as asked for.
PinDecision decide_way(const Workload& workload, const PinWish& wish, const Surroundings& around);

/// The pods of a Deployment at rest whose nodeSelector[key] is not its template's: born before
/// that, and its ReplicaSet's, were changed in place.
std::vector<const kube::Json*> pods_left_behind(const Workload& deployment, const std::string& key,
                                                const Surroundings& around);

/// Why the workload cannot be pinned where it stands, whatever the way: no node with the label fits
/// its own nodeName, nodeSelector and affinity. "" when one does.
std::string no_node_fits(const Workload& workload, const PinWish& wish, const Surroundings& around);

/// What is remembered of the workload: {"paused": false, "revisionHistoryLimit": 10} or
/// {"updateStrategy": {...}}; null:
/// nothing.
kube::Json remembered(const kube::Json& object);

/// It carries the annotation, whether that still means anything or not.
bool has_note(const kube::Json& object);

/// The one live ReplicaSet of a Deployment, nullptr when there is none or several.
const kube::Json* only_live_replica_set(const Surroundings& around);

/// First write, in place: pin_patch() and what keeps the pods, remembered.
kube::Json in_place_patch(const Workload& workload, const PinWish& wish);
/// Makes the template of a Deployment's ReplicaSet as the Deployment's is now, in
/// nodeSelector[key].
kube::Json replica_set_patch(const kube::Json& replica_set, const kube::Json& deployment,
                             const std::string& key);
/// Two pod templates are equal but for nodeSelector[key] and the hash in a ReplicaSet's labels.
bool same_but_for_pin(const kube::Json& one_template, const kube::Json& other_template,
                      const std::string& key);
/// Last write: what was remembered is put back.
kube::Json put_back_patch(const kube::Json& object);
/// The write of a rollout: pin_patch(), and what was remembered is put back.
kube::Json rollout_patch(const Workload& workload, const PinWish& wish);

/// Every pod is of the newest template, as the controller counts them, and it has seen the newest.
bool all_updated(const Workload& workload);

}  // namespace kcni::cni
