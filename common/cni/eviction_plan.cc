#include "common/cni/eviction_plan.h"

#include <fmt/format.h>

#include <map>

#include "common/base/text.h"
#include "common/cni/pods.h"
#include "common/cni/pods_recreate.h"

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

PodPlan refuse(const Json& pod, const char* why) {
  return {PodFate::kRefuse, pod, why};
}

PodPlan plan_moving(const Json& pod, const EvictionRules& rules) {
  if (has_empty_dir(pod) && !rules.delete_emptydir_data) return refuse(pod, kEmptyDir);
  if (!is_bare(pod)) return {PodFate::kEvict, pod, ""};
  if (rules.recreate_bare_pods) {
    if (!node_chosen_by_user(pod)) return {PodFate::kRecreate, pod, ""};
    return rules.force ? PodPlan{PodFate::kEvict, pod, ""} : refuse(pod, kTied);
  }
  return rules.force ? PodPlan{PodFate::kEvict, pod, ""} : refuse(pod, kBare);
}

}  // namespace

PodPlan plan_eviction(const Json& pod, const EvictionRules& rules) {
  if (finished(pod) || is_mirror(pod) || of_daemonset(pod)) return {PodFate::kLeave, pod, ""};
  if (kube::terminating(pod)) return {PodFate::kWait, pod, ""};
  return plan_moving(pod, rules);
}

PodPlan plan_recycling(const Json& pod, const EvictionRules& rules, const FlannelNetwork& network) {
  if (!has_flannel_address(pod, network)) return {PodFate::kLeave, pod, ""};
  if (kube::terminating(pod)) return {PodFate::kWait, pod, ""};
  if (of_daemonset(pod)) return {PodFate::kRestart, pod, ""};
  return plan_moving(pod, rules);
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
