#include "common/cni/in_place.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/cni/names.h"
#include "common/cni/pods.h"
#include "common/cni/scheduling.h"

namespace kcni::cni {

using kube::at;
using kube::Json;
using kube::number_at;
using kube::text_at;

namespace {

constexpr const char* kTemplateHash = "pod-template-hash";
constexpr const char* kStrategy = "/spec/updateStrategy";
constexpr const char* kHistoryLimit = "revisionHistoryLimit";
constexpr const char* kHistoryPointer = "/spec/revisionHistoryLimit";
constexpr long kDefaultHistory = 10;

bool observed(const Json& object) {
  return number_at(object, "/status/observedGeneration") >=
         number_at(object, "/metadata/generation");
}

bool on_delete(const Json& object) {
  return text_at(object, "/spec/updateStrategy/type") == "OnDelete";
}

Json spec_with_pin(const Workload& workload, const PinWish& wish) {
  Json spec = pod_spec_of(workload);
  if (wish.value) spec["nodeSelector"][wish.key] = *wish.value;
  return spec;
}

const Json* node_of_pod(const Json& pod, const Surroundings& around) {
  auto name = node_of(pod);
  auto found = std::find_if(around.nodes.begin(), around.nodes.end(),
                            [&](const Json* node) { return kube::name_of(*node) == name; });
  return found == around.nodes.end() ? nullptr : *found;
}

// One that has no node yet moves nowhere.
bool must_move(const Json& pod, const Json& spec, const Surroundings& around) {
  if (node_of(pod).empty()) return false;
  const Json* node = node_of_pod(pod, around);
  return !node || !may_run_on(spec, *node);
}

// What nodeSelector[key] will be.
std::string value_after(const Json& object, const PinWish& wish) {
  return wish.value ? *wish.value : kube::annotation_of(object, kPinnedOverAnnotation);
}

bool any_must_move(const Workload& workload, const PinWish& wish, const Surroundings& around) {
  Json spec = spec_with_pin(workload, wish);
  auto after = value_after(workload.object, wish);
  return std::any_of(around.pods.begin(), around.pods.end(), [&](const Json* pod) {
    return wish.value ? must_move(*pod, spec, around)
                      : selected_value(at(*pod, "/spec"), wish.key) != after;
  });
}

PinDecision plainly(PinWay way) {
  PinDecision decision;
  decision.way = way;
  return decision;
}

PinDecision refuse(std::string why, bool may_settle) {
  return {PinWay::kInPlace, std::move(why), may_settle, false, ""};
}

PinDecision not_observed() {
  return {PinWay::kInPlace, "its controller has not seen its last change yet", true, true, ""};
}

// Another ReplicaSet that would equal the live one once that has changed (FindNewReplicaSet takes
// the oldest of those that equal the Deployment).
bool has_twin(const Json& live, const Json& deployment, const PinWish& wish,
              const Surroundings& around) {
  auto wanted = value_after(deployment, wish);
  return std::any_of(around.replica_sets.begin(), around.replica_sets.end(), [&](const Json* set) {
    return set != &live && selected_value(at(*set, "/spec/template/spec"), wish.key) == wanted &&
           same_but_for_pin(at(*set, "/spec/template"), at(live, "/spec/template"), wish.key);
  });
}

PinDecision deployment_in_place(const Json& object, const PinWish& wish,
                                const Surroundings& around) {
  bool paused = kube::flag_at(object, "/spec/paused");
  if (!observed(object)) return not_observed();
  if (number_at(object, "/status/updatedReplicas") != number_at(object, "/status/replicas")) {
    // Nothing rolls while its user has it paused, and no pod has the pin.
    if (paused && !wish.value && wish.way == PinWish::Way::kAuto) return plainly(PinWay::kTemplate);
    return paused ? refuse("it is paused with a change that was not rolled out", false)
                  : refuse("a rollout is under way", true);
  }
  const Json* live = only_live_replica_set(around);
  if (!live) return refuse("several of its ReplicaSets have pods", true);
  if (has_twin(*live, object, wish, around)) {
    return refuse(
        "an older ReplicaSet has just the template that it would get, and its controller "
        "would roll to that one",
        false);
  }
  return plainly(PinWay::kInPlace);
}

PinDecision statefulset_in_place(const Json& object) {
  long partition = number_at(object, "/spec/updateStrategy/rollingUpdate/partition");
  if (partition > 0) {
    return refuse(
        fmt::format("its partition is {}, and OnDelete would void that canary", partition), false);
  }
  if (!observed(object)) return not_observed();
  if (text_at(object, "/status/currentRevision") != text_at(object, "/status/updateRevision")) {
    return refuse("a rollout is under way (currentRevision is not updateRevision)", true);
  }
  if (number_at(object, "/status/updatedReplicas") != number_at(object, "/status/replicas")) {
    return refuse("a rollout is under way", true);
  }
  return plainly(PinWay::kInPlace);
}

PinDecision daemonset_in_place(const Workload& workload, const PinWish& wish,
                               const Surroundings& around) {
  if (wish.value && any_must_move(workload, wish, around)) {
    return refuse("it has pods on nodes that the pin excludes, where its controller deletes them",
                  false);
  }
  if (!observed(workload.object)) return not_observed();
  if (!all_updated(workload)) return refuse("a rollout is under way", true);
  return plainly(PinWay::kInPlace);
}

// Its user's own OnDelete.
PinDecision with_own_on_delete(const Workload& workload, const PinWish& wish,
                               const Surroundings& around) {
  auto decision = plainly(PinWay::kTemplate);
  bool move = any_must_move(workload, wish, around);
  if (workload.resource == &kube::kDaemonSets && wish.value && move) {
    if (wish.way == PinWish::Way::kInPlace) return daemonset_in_place(workload, wish, around);
    decision.idle =
        "its controller deletes its pods on other nodes now; the rest follow when they are "
        "deleted, "
        "for its updateStrategy is OnDelete";
  } else if (move || wish.way == PinWish::Way::kRollout) {
    decision.idle = "its updateStrategy is OnDelete: its pods follow when they are deleted";
  }
  return decision;
}

Json strategy_on_delete() {
  return {{"type", "OnDelete"}, {"rollingUpdate", nullptr}};
}

void put_back(Json& patch, const Json& object) {
  Json memory = remembered(object);
  if (has_note(object)) patch["metadata"]["annotations"][kInPlaceAnnotation] = nullptr;
  if (memory.is_null()) return;
  for (const auto& [field, value] : memory.items()) {
    bool changed =
        field == kHistoryLimit && number_at(object, kHistoryPointer) != value.get<long>() + 1;
    if (changed) continue;  // by its user, meanwhile
    patch["spec"][field] = field == "paused" && value == false ? Json() : value;
  }
}

// A merge patch leaves what it does not name, so an absent key has to be named.
void copy_annotation(Json& patch, const Json& from, const char* key) {
  auto value = kube::annotation_of(from, key);
  patch["metadata"]["annotations"][key] = value.empty() ? Json() : Json(value);
}

}  // namespace

bool has_note(const Json& object) {
  return !kube::annotation_of(object, kInPlaceAnnotation).empty();
}

bool all_updated(const Workload& workload) {
  const Json& object = workload.object;
  if (!observed(object)) return false;
  if (workload.resource == &kube::kDaemonSets) {
    return number_at(object, "/status/updatedNumberScheduled") >=
           number_at(object, "/status/desiredNumberScheduled");
  }
  return number_at(object, "/status/updatedReplicas") == number_at(object, "/status/replicas");
}

Json remembered(const Json& object) {
  auto text = kube::annotation_of(object, kInPlaceAnnotation);
  if (text.empty()) return nullptr;
  Json memory = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!memory.is_object()) return Json::object();
  // A rollback, a resume by hand or a strategy of its user's leaves a note behind that means
  // nothing any more.
  bool resumed = memory.contains("paused") && !kube::flag_at(object, "/spec/paused");
  bool rolls_again = memory.contains("updateStrategy") && !on_delete(object);
  return resumed || rolls_again ? Json() : memory;
}

const Json* only_live_replica_set(const Surroundings& around) {
  const Json* live = nullptr;
  for (const auto* set : around.replica_sets) {
    if (number_at(*set, "/spec/replicas") == 0 && number_at(*set, "/status/replicas") == 0)
      continue;
    if (live) return nullptr;
    live = set;
  }
  return live;
}

PinDecision decide_way(const Workload& workload, const PinWish& wish, const Surroundings& around) {
  const Json& object = workload.object;
  const auto* kind = workload.resource;
  bool rolls =
      kind == &kube::kDeployments || kind == &kube::kStatefulSets || kind == &kube::kDaemonSets;
  bool remembers = !remembered(object).is_null();
  if (!rolls) return plainly(PinWay::kTemplate);
  bool no_pods = around.pods.empty() && number_at(object, "/status/replicas") == 0;
  if (no_pods) return plainly(PinWay::kTemplate);
  bool must_follow = wish.way == PinWish::Way::kRollout || any_must_move(workload, wish, around);
  if (on_delete(object) && !remembers) return with_own_on_delete(workload, wish, around);
  if (wish.way != PinWish::Way::kInPlace && must_follow) {
    auto decision = plainly(PinWay::kRollout);
    bool paused = kube::flag_at(object, "/spec/paused") && !remembers;
    if (paused) decision.idle = "it is paused: its pods follow when it is resumed";
    long partition = number_at(object, "/spec/updateStrategy/rollingUpdate/partition");
    if (partition > 0) {
      decision.idle = fmt::format("its pods below its partition {} do not follow", partition);
    }
    return decision;
  }
  if (remembers) return plainly(PinWay::kInPlace);
  if (kind == &kube::kDeployments) return deployment_in_place(object, wish, around);
  if (kind == &kube::kStatefulSets) return statefulset_in_place(object);
  return daemonset_in_place(workload, wish, around);
}

std::vector<const Json*> pods_left_behind(const Workload& deployment, const std::string& key,
                                          const Surroundings& around) {
  if (!all_updated(deployment) || !only_live_replica_set(around)) return {};
  auto now = selected_value(pod_spec_of(deployment), key);
  std::vector<const Json*> left;
  std::copy_if(around.pods.begin(), around.pods.end(), std::back_inserter(left),
               [&](const Json* pod) { return selected_value(at(*pod, "/spec"), key) != now; });
  return left;
}

std::string no_node_fits(const Workload& workload, const PinWish& wish,
                         const Surroundings& around) {
  if (!wish.value) return "";
  Json spec = spec_with_pin(workload, wish);
  auto name = text_at(spec, "/nodeName");
  bool labelled = false;
  for (const auto* node : around.nodes) {
    if (kube::label_of(*node, wish.key) != *wish.value) continue;
    labelled = true;
    if (may_run_on(spec, *node) && (name.empty() || name == kube::name_of(*node))) return "";
  }
  if (!labelled) return "";  // said once for all
  return fmt::format(
      "{} would fit no node: none that is labelled {}={} suits its own nodeName, nodeSelector and "
      "node affinity; change those, or say --force",
      workload.place(), wish.key, *wish.value);
}

Json in_place_patch(const Workload& workload, const PinWish& wish) {
  Json patch = pin_patch(workload, wish);
  const Json& object = workload.object;
  Json memory = remembered(object);
  if (workload.resource == &kube::kDeployments) {
    // While the two templates differ its live ReplicaSet counts as an old one, and one more old one
    // than the limit would be deleted (deployment controller, cleanupDeployment when paused).
    long limit = number_at(object, kHistoryPointer, kDefaultHistory);
    bool fresh = memory.is_null();
    if (fresh) memory = {{"paused", kube::flag_at(object, "/spec/paused")}, {kHistoryLimit, limit}};
    patch["spec"]["paused"] = true;
    if (fresh) patch["spec"][kHistoryLimit] = limit + 1;
  } else {
    if (memory.is_null()) memory = {{"updateStrategy", at(object, kStrategy)}};
    patch["spec"]["updateStrategy"] = strategy_on_delete();
  }
  patch["metadata"]["annotations"][kInPlaceAnnotation] = memory.dump();
  return patch;
}

Json replica_set_patch(const Json& replica_set, const Json& deployment, const std::string& key) {
  Json patch;
  patch["metadata"]["uid"] = kube::uid_of(replica_set);
  // The controller copies annotations there, and would bring them back with a rollback.
  patch["metadata"]["annotations"][kInPlaceAnnotation] = nullptr;
  copy_annotation(patch, deployment, kPinnedAnnotation);
  copy_annotation(patch, deployment, kPinnedOverAnnotation);
  const Json& selector = at(deployment, "/spec/template/spec/nodeSelector");
  bool pinned = selector.is_object() && selector.contains(key);
  patch["spec"]["template"]["spec"]["nodeSelector"][key] = pinned ? selector[key] : Json();
  return patch;
}

bool same_but_for_pin(const Json& one_template, const Json& other_template,
                      const std::string& key) {
  auto stripped = [&key](Json text) {
    if (!at(text, "/metadata/labels").is_null()) text["metadata"]["labels"].erase(kTemplateHash);
    if (!at(text, "/spec/nodeSelector").is_null()) {
      text["spec"]["nodeSelector"].erase(key);
      if (text["spec"]["nodeSelector"].empty()) text["spec"].erase("nodeSelector");
    }
    return text;
  };
  return stripped(one_template) == stripped(other_template);
}

Json put_back_patch(const Json& object) {
  Json patch;
  patch["metadata"]["resourceVersion"] = text_at(object, "/metadata/resourceVersion");
  put_back(patch, object);
  return patch;
}

Json rollout_patch(const Workload& workload, const PinWish& wish) {
  Json patch = pin_patch(workload, wish);
  put_back(patch, workload.object);
  return patch;
}

}  // namespace kcni::cni
