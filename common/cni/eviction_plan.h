// What evicting a node's pods means for each of them: pure functions of the pods as read.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/cni/flannel_network.h"
#include "common/kube/json.h"

namespace kcni::cni {

using SystemTime = std::chrono::system_clock::time_point;

struct EvictionRules {
  bool delete_emptydir_data = false;
  bool force = false;               ///< bare pods are deleted for good
  bool recreate_bare_pods = false;  ///< bare pods are made anew elsewhere
  bool daemonset_pods = false;      ///< those on the pod network are deleted as well
  /// Off only with --ignore-daemonsets=false: pods of DaemonSets are refused.
  bool ignore_daemonsets = true;
  /// UIDs of DaemonSets' pods whose DaemonSet is gone, so that nothing would make them anew.
  std::set<std::string> orphans;
  /// All nodes of the cluster, to see whether a bare pod could go to another one, now or once that
  /// is uncordoned; nullopt: not looked at.
  std::optional<std::vector<kube::Json>> nodes;
  std::string key;  ///< of the migration: a pod that is made anew does not select it any more
  /// By a bare pod's UID: what its volumes ask of a node (volume_affinities()).
  std::map<std::string, std::vector<kube::Json>> volumes;
  /// What has been in deletion for longer is not waited for; 0: everything is.
  std::chrono::seconds skip_after{0};
};

enum class PodFate {
  kEvict,
  kRecreate,  ///< bare: back up, evict, create anew
  kRestart,   ///< a DaemonSet's: delete, its controller makes it anew on the same node
  kDelete,    ///< a DaemonSet's: delete, wait until it is gone, and not for what follows it
  kWait,      ///< already being deleted
  kLeave,     ///< finished, static, or a DaemonSet's
  kRefuse,
};

struct PodPlan {
  PodFate fate;
  kube::Json pod;
  std::string refusal;  ///< the class of refusal, in words that name the overriding flag
};

/// The filters of kubectl drain, in its order (kubectl/pkg/drain/filters.go), with two differences:
/// DaemonSets are ignored unless said otherwise, and finished pods are left alone, for they hold
/// nothing.
PodPlan plan_eviction(const kube::Json& pod, const EvictionRules& rules,
                      SystemTime now = std::chrono::system_clock::now());

/// For --recycle: only pods that hold an address of flannel's range; a DaemonSet's is restarted.
PodPlan plan_recycling(const kube::Json& pod, const EvictionRules& rules,
                       const FlannelNetwork& network,
                       SystemTime now = std::chrono::system_clock::now());

/// Bare pods that are to be made anew, and would be Pending since no node but those of `leaving`
/// takes them now, for its cordon or taints.
std::vector<std::string> left_pending(const std::vector<PodPlan>& plans, const EvictionRules& rules,
                                      const std::set<std::string>& leaving);

/// One line for all that is refused, class by class; "" when nothing is.
std::string refusals_of(const std::vector<PodPlan>& plans);

}  // namespace kcni::cni
