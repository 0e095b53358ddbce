#include "common/cni/eviction_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "common/base/text.h"
#include "common/base/time.h"
#include "common/cni/pods.h"
#include "common/cni/pods_recreate.h"
#include "common/cni/scheduling.h"

namespace kcni::cni {

using kube::Json;

namespace {

constexpr const char* kEmptyDir =
    "pods with emptyDir volumes, whose data would be lost (--delete-emptydir-data accepts that)";
constexpr const char* kBare =
    "pods that no controller would make anew (--recreate-bare-pods moves them, --force deletes "
    "them for good)";
constexpr const char* kTied =
    "bare pods that name their node themselves and cannot move (--force deletes them for good)";
constexpr const char* kNowhere =
    "bare pods that no other node suits, by their nodeSelector, affinity or volumes (--force "
    "deletes them for good)";
constexpr const char* kTolerating =
    "bare pods that tolerate the cordon and could come back to their node (--force deletes them "
    "for "
    "good)";
constexpr const char* kDaemonSet =
    "pods of DaemonSets, which --ignore-daemonsets=false does not leave (--daemonset-pods deletes "
    "those on the pod network)";
constexpr const char* kOrphan =
    "pods of DaemonSets that are gone, so nothing would make them anew (--force deletes them for "
    "good)";

// As kubectl drain's --skip-wait-for-delete-timeout.
bool deleted_long_ago(const Json& pod, const EvictionRules& rules, SystemTime now) {
  if (rules.skip_after.count() == 0 || !kube::terminating(pod)) return false;
  auto since = parse_rfc3339(kube::text_at(pod, "/metadata/deletionTimestamp"));
  return since && now - *since > rules.skip_after;
}

PodPlan refuse(const Json& pod, const char* why) {
  return {PodFate::kRefuse, pod, why};
}

bool suits_another_node(const Json& pod, const EvictionRules& rules) {
  if (!rules.nodes) return true;
  const Json anew = recreatable_pod(pod, rules.key);
  auto volumes = rules.volumes.find(kube::uid_of(pod));
  return std::any_of(rules.nodes->begin(), rules.nodes->end(), [&](const Json& node) {
    if (kube::name_of(node) == node_of(pod) || !may_run_on(kube::at(anew, "/spec"), node)) {
      return false;
    }
    return volumes == rules.volumes.end() ||
           std::all_of(volumes->second.begin(), volumes->second.end(),
                       [&](const Json& spec) { return may_run_on(spec, node); });
  });
}

PodPlan plan_moving(const Json& pod, const EvictionRules& rules) {
  if (has_empty_dir(pod) && !rules.delete_emptydir_data) return refuse(pod, kEmptyDir);
  if (!is_bare(pod)) return {PodFate::kEvict, pod, ""};
  if (rules.recreate_bare_pods) {
    bool returns = rules.nodes && !kept_off_by_cordon(kube::at(pod, "/spec"));
    const char* why = node_chosen_by_user(pod)          ? kTied
                      : returns                         ? kTolerating
                      : !suits_another_node(pod, rules) ? kNowhere
                                                        : nullptr;
    if (!why) return {PodFate::kRecreate, pod, ""};
    return rules.force ? PodPlan{PodFate::kEvict, pod, ""} : refuse(pod, why);
  }
  return rules.force ? PodPlan{PodFate::kEvict, pod, ""} : refuse(pod, kBare);
}

PodPlan plan_daemonset_pod(const Json& pod, const EvictionRules& rules) {
  bool leaves = rules.daemonset_pods && !on_host_network(pod);
  if (kube::terminating(pod)) return {leaves ? PodFate::kWait : PodFate::kLeave, pod, ""};
  if (rules.orphans.contains(kube::uid_of(pod))) {
    return rules.force ? plan_moving(pod, rules) : refuse(pod, kOrphan);
  }
  if (!leaves && !rules.ignore_daemonsets) return refuse(pod, kDaemonSet);
  if (!leaves) return {PodFate::kLeave, pod, ""};
  if (has_empty_dir(pod) && !rules.delete_emptydir_data) return refuse(pod, kEmptyDir);
  return {PodFate::kDelete, pod, ""};
}

}  // namespace

PodPlan plan_eviction(const Json& pod, const EvictionRules& rules, SystemTime now) {
  if (deleted_long_ago(pod, rules, now)) return {PodFate::kLeave, pod, ""};
  if (finished(pod) || is_mirror(pod)) return {PodFate::kLeave, pod, ""};
  if (of_daemonset(pod)) return plan_daemonset_pod(pod, rules);
  if (kube::terminating(pod)) return {PodFate::kWait, pod, ""};
  return plan_moving(pod, rules);
}

PodPlan plan_recycling(const Json& pod, const EvictionRules& rules, const FlannelNetwork& network,
                       SystemTime now) {
  if (!has_flannel_address(pod, network)) return {PodFate::kLeave, pod, ""};
  if (deleted_long_ago(pod, rules, now)) return {PodFate::kLeave, pod, ""};
  if (kube::terminating(pod)) return {PodFate::kWait, pod, ""};
  if (of_daemonset(pod)) return {PodFate::kRestart, pod, ""};
  return plan_moving(pod, rules);
}

std::vector<std::string> left_pending(const std::vector<PodPlan>& plans, const EvictionRules& rules,
                                      const std::set<std::string>& leaving) {
  std::vector<std::string> names;
  if (!rules.nodes) return names;
  for (const auto& plan : plans) {
    if (plan.fate != PodFate::kRecreate) continue;
    const Json anew = recreatable_pod(plan.pod, rules.key);
    bool taken = std::any_of(rules.nodes->begin(), rules.nodes->end(), [&](const Json& node) {
      return !leaving.contains(kube::name_of(node)) && takes_pod(node, kube::at(anew, "/spec"));
    });
    if (!taken) names.push_back(kube::key_of(plan.pod));
  }
  return names;
}

std::string refusals_of(const std::vector<PodPlan>& plans) {
  std::map<std::string, std::vector<std::string>> by_class;
  for (const auto& plan : plans) {
    if (plan.fate == PodFate::kRefuse) by_class[plan.refusal].push_back(kube::key_of(plan.pod));
  }
  std::vector<std::string> lines;
  for (const auto& [why, pods] : by_class) {
    lines.push_back(fmt::format("{}: {}", why, some_of(pods)));
  }
  return join(lines, "; ");
}

}  // namespace kcni::cni
