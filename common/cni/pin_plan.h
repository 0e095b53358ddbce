// What pinning a workload would change: a pure function of the object as read.
#pragma once

#include <optional>
#include <string>

#include "common/cni/cni_daemonsets.h"
#include "common/cni/workloads.h"

namespace kcni::cni {

struct PinWish {
  std::string key;
  std::optional<std::string> value;   ///< nullopt: take the pin off
  bool overwrite = false;             ///< also over a nodeSelector KEY=other that is not ours
  bool include_host_network = false;  ///< pods that do not use the CNI are left alone otherwise
  bool named = false;                 ///< asked for by name: a rule that skips it is said aloud
  bool cni_itself = false;            ///< --cni: the CNI's own DaemonSets, and nothing else
  bool force = false;                 ///< with value nullopt: also what others put there
  bool skip_managed = false;          ///< leave alone what an operator or GitOps looks after
  enum class Way { kAuto, kInPlace, kRollout };
  Way way = Way::kAuto;
  NamedDaemonSets daemonsets;
};

struct PinChange {
  enum class Kind {
    kSet,
    kRemove,
    kUnchanged,
    kOutOfScope,  ///< somebody else's template, or the CNI itself: nothing to say
    kSkipped,     ///< left alone by a rule that the operator should hear of
    kRefused,
  };
  Kind kind;
  std::string reason;   ///< of kSkipped and kRefused
  std::string current;  ///< the value now, "" when none

  bool writes() const { return kind == Kind::kSet || kind == Kind::kRemove; }
};

/// A CNI's DaemonSet, or another part of Cilium: pinned by --cni or by its name only.
bool is_the_cni(const Workload& workload, const PinWish& wish);

PinChange plan_pin(const Workload& workload, const PinWish& wish);

/// The merge patch: nodeSelector, our annotations, and the resourceVersion of the plan.
kube::Json pin_patch(const Workload& workload, const PinWish& wish);

}  // namespace kcni::cni
