#include "common/cni/pin_plan.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "common/cni/managed.h"
#include "common/cni/names.h"
#include "common/cni/pods.h"
#include "common/cni/scheduling.h"

namespace kcni::cni {

using kube::at;
using kube::Json;
using Kind = PinChange::Kind;

namespace {

bool part_of_cilium(const Json& object) {
  return kube::label_of(object, "app.kubernetes.io/part-of") == "cilium";
}

const char* job_reason(const Json& job) {
  if (!kube::flag_at(job, "/spec/suspend")) {
    return ": a Job's template cannot be changed; its pods stay as they were born";
  }
  return ": the template of a Job that once ran cannot be changed, suspended or not";
}

// Only one key's pin is remembered, and the value that it stands over: taking off a second one
// would put back the first one's.
std::string pinned_by_another_key(const Workload& workload, const PinWish& wish) {
  auto key = kube::annotation_of(workload.object, kPinnedAnnotation);
  return key == wish.key ? "" : key;
}

PinChange plan_set(const Workload& workload, const PinWish& wish, const std::string& current,
                   bool ours) {
  auto other = pinned_by_another_key(workload, wish);
  if (!other.empty()) {
    return {Kind::kRefused,
            fmt::format("{} is pinned by the label key {} already; take that off first with "
                        "'kubectl cni pin --remove --key {}', or pin with --key {}",
                        workload.place(), other, other, other),
            current};
  }
  if (current == *wish.value) return {Kind::kUnchanged, "", current};
  if (current.empty() || ours || wish.overwrite) return {Kind::kSet, "", current};
  return {Kind::kRefused,
          fmt::format("{} already has nodeSelector {}={}; say --overwrite to replace it until "
                      "'pin --remove' puts it back, or choose another --key",
                      workload.place(), wish.key, current),
          current};
}

PinChange plan_remove(const Workload& workload, const PinWish& wish, const std::string& current,
                      bool ours) {
  if (current.empty() && !ours) return {Kind::kUnchanged, "", current};
  bool on_purpose = wish.cni_itself || (wish.named && is_the_cni(workload, wish));
  if (ours || wish.force || on_purpose) return {Kind::kRemove, "", current};
  return {Kind::kSkipped,
          fmt::format("{} keeps nodeSelector {}={}: kubectl-cni did not put it there (--force "
                      "takes it off all the same)",
                      workload.place(), wish.key, current),
          current};
}

// The rules that leave a workload alone before its selector is looked at.
std::optional<PinChange> out_of_reach(const Workload& workload, const PinWish& wish, bool has_pin) {
  const Json& owner = kube::controller_of(workload.object);
  if (!owner.is_null() && !has_custom_owner(workload.object)) {
    if (!wish.named) return PinChange{Kind::kOutOfScope, "", ""};
    return PinChange{Kind::kRefused,
                     fmt::format("{} belongs to {} {}: name that instead", workload.place(),
                                 kube::text_at(owner, "/kind"), kube::text_at(owner, "/name")),
                     ""};
  }
  if (wish.cni_itself) return std::nullopt;
  // Whoever names it means it: trap 21 is looked at before the write.
  if (is_the_cni(workload, wish)) {
    if (wish.named) return std::nullopt;
    return PinChange{Kind::kOutOfScope, "", ""};
  }
  if (!wish.value && !has_pin) return std::nullopt;
  if (workload.resource == &kube::kJobs && !job_template_mutable(workload.object)) {
    bool done = job_finished(workload.object);
    if (done && !wish.named) return PinChange{Kind::kOutOfScope, "", ""};
    return PinChange{Kind::kSkipped, workload.place() + job_reason(workload.object), ""};
  }
  auto manager = manager_of(workload.object);
  if (wish.skip_managed && !manager.name.empty()) {
    return PinChange{Kind::kSkipped,
                     fmt::format("{} belongs to {} and is left alone (--managed=skip)",
                                 workload.place(), manager.name),
                     ""};
  }
  // Its rollout would never end, and leave pods of two revisions behind, one of them pinned.
  bool broken = !kube::annotation_of(workload.object, kNotReadyBeforeAnnotation).empty();
  if (wish.value && broken && !wish.named && !has_pin) {
    return PinChange{Kind::kSkipped,
                     workload.place() +
                         " was not ready before the migration and is left as it is; its pods move "
                         "when their nodes are drained",
                     ""};
  }
  if (wish.value && kube::flag_at(pod_spec_of(workload), "/hostNetwork") &&
      !wish.include_host_network) {
    return PinChange{Kind::kSkipped,
                     workload.place() +
                         " is on the host network and needs no CNI "
                         "(--include-host-network pins it)",
                     ""};
  }
  return std::nullopt;
}

}  // namespace

bool is_the_cni(const Workload& workload, const PinWish& wish) {
  bool its_daemonset = workload.resource == &kube::kDaemonSets &&
                       cni_of(workload.object, wish.daemonsets).has_value();
  return its_daemonset || part_of_cilium(workload.object);
}

PinChange plan_pin(const Workload& workload, const PinWish& wish) {
  auto current = selected_value(pod_spec_of(workload), wish.key);
  if (auto left_alone = out_of_reach(workload, wish, !current.empty())) return *left_alone;
  bool ours = kube::annotation_of(workload.object, kPinnedAnnotation) == wish.key;
  return wish.value ? plan_set(workload, wish, current, ours)
                    : plan_remove(workload, wish, current, ours);
}

Json pin_patch(const Workload& workload, const PinWish& wish) {
  auto change = plan_pin(workload, wish);
  auto before = kube::annotation_of(workload.object, kPinnedOverAnnotation);
  bool ours = kube::annotation_of(workload.object, kPinnedAnnotation) == wish.key;
  Json patch;
  patch["metadata"]["resourceVersion"] =
      kube::text_at(workload.object, "/metadata/resourceVersion");
  auto& annotations = patch["metadata"]["annotations"];
  Json selected = nullptr;
  if (wish.value) {
    selected = *wish.value;
    annotations[kPinnedAnnotation] = wish.key;
    if (!ours && !change.current.empty()) annotations[kPinnedOverAnnotation] = change.current;
  } else {
    if (!before.empty()) selected = before;
    annotations[kPinnedAnnotation] = nullptr;
    annotations[kPinnedOverAnnotation] = nullptr;
  }
  auto pointer = std::string(pod_spec_pointer(*workload.resource)) + "/nodeSelector";
  patch[Json::json_pointer(pointer)][wish.key] = selected;
  return patch;
}

}  // namespace kcni::cni
