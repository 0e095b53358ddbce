// What evicting a node's pods means for each of them: pure functions of the pods as read.
#pragma once

#include <string>
#include <vector>

#include "common/cni/flannel_network.h"
#include "common/kube/json.h"

namespace kcni::cni {

struct EvictionRules {
  bool delete_emptydir_data = false;
  bool force = false;               ///< bare pods are deleted for good
  bool recreate_bare_pods = false;  ///< bare pods are made anew elsewhere
};

enum class PodFate {
  kEvict,
  kRecreate,  ///< bare: back up, evict, create anew
  kRestart,   ///< a DaemonSet's: delete, its controller makes it anew on the same node
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
/// DaemonSets are always ignored, and finished pods are left alone, for they hold nothing.
PodPlan plan_eviction(const kube::Json& pod, const EvictionRules& rules);

/// For --recycle: only pods that hold an address of flannel's range; a DaemonSet's is restarted.
PodPlan plan_recycling(const kube::Json& pod, const EvictionRules& rules,
                       const FlannelNetwork& network);

/// One line for all that is refused, class by class; "" when nothing is.
std::string refusals_of(const std::vector<PodPlan>& plans);

}  // namespace kcni::cni
