#include "common/cni/pods_recreate.h"

#include <algorithm>
#include <string_view>

#include "common/cni/compare.h"
#include "common/cni/names.h"

namespace kcni::cni {

namespace {

using kube::Json;

constexpr std::string_view kTokenVolume = "kube-api-access-";

void unpin(Json& spec, const std::string& key) {
  if (!spec.contains("nodeSelector")) return;
  spec["nodeSelector"].erase(key);
  if (spec["nodeSelector"].empty()) spec.erase("nodeSelector");
}

bool named_by_admission(const Json& item) {
  return kube::text_at(item, "/name").starts_with(kTokenVolume);
}

void erase_token_items(Json& owner, const char* list) {
  if (!owner.contains(list)) return;
  Json kept = Json::array();
  for (auto& item : owner[list]) {
    if (!named_by_admission(item)) kept.push_back(std::move(item));
  }
  owner[list] = std::move(kept);
  if (owner[list].empty()) owner.erase(list);
}

// Two pods of one manifest have token volumes of different random names.
void erase_token_volume(Json& spec) {
  erase_token_items(spec, "volumes");
  for (const char* containers : {"containers", "initContainers"}) {
    if (!spec.contains(containers)) continue;
    for (auto& container : spec[containers]) erase_token_items(container, "volumeMounts");
  }
}

// The server has written an expression for each of these keys into the selector, and refuses a pod
// that brings one (pkg/registry/core/pod/strategy.go, applyMatchLabelKeysAndMismatchLabelKeys).
void erase_merged_keys(Json& term, const char* keys, const char* op) {
  const Json& merged = kube::at(term, std::string("/") + keys);
  if (!merged.is_array() || kube::at(term, "/labelSelector/matchExpressions").is_null()) return;
  Json kept = Json::array();
  for (const auto& expression : term["labelSelector"]["matchExpressions"]) {
    bool ours =
        kube::text_at(expression, "/operator") == op &&
        std::find(merged.begin(), merged.end(), kube::at(expression, "/key")) != merged.end();
    if (!ours) kept.push_back(expression);
  }
  if (kept.empty()) {
    term["labelSelector"].erase("matchExpressions");
  } else {
    term["labelSelector"]["matchExpressions"] = std::move(kept);
  }
}

void unmerge_label_keys(Json& spec) {
  if (spec.contains("topologySpreadConstraints")) {
    for (auto& term : spec["topologySpreadConstraints"]) {
      erase_merged_keys(term, "matchLabelKeys", "In");
    }
  }
  for (const char* side : {"podAffinity", "podAntiAffinity"}) {
    if (kube::at(spec, std::string("/affinity/") + side).is_null()) continue;
    for (auto& [when, terms] : spec["affinity"][side].items()) {
      for (auto& term : terms) {
        Json& inner = term.contains("podAffinityTerm") ? term["podAffinityTerm"] : term;
        erase_merged_keys(inner, "matchLabelKeys", "In");
        erase_merged_keys(inner, "mismatchLabelKeys", "NotIn");
      }
    }
  }
}

// Its node's, put there when it was bound (admission plugin PodTopologyLabels).
void erase_topology_labels(Json& metadata) {
  if (!metadata.contains("labels")) return;
  for (const char* label : {"topology.kubernetes.io/zone", "topology.kubernetes.io/region"}) {
    metadata["labels"].erase(label);
  }
  if (metadata["labels"].empty()) metadata.erase("labels");
}

}  // namespace

Json recreatable_pod(const Json& pod, const std::string& key) {
  Json fresh = {{"apiVersion", "v1"}, {"kind", "Pod"}};
  fresh["metadata"] = fresh_metadata(kube::at(pod, "/metadata"));
  if (fresh["metadata"].contains("annotations")) {
    auto& annotations = fresh["metadata"]["annotations"];
    annotations.erase(kPinnedAnnotation);
    if (annotations.empty()) fresh["metadata"].erase("annotations");
  }
  erase_topology_labels(fresh["metadata"]);
  Json spec = kube::at(pod, "/spec");
  unmerge_label_keys(spec);
  // Admission computes priority and preemptionPolicy from priorityClassName and refuses a pod that
  // brings others (the default class may have changed since). serviceAccount is the old name of
  // serviceAccountName. Ephemeral containers cannot be created. The token's volume stays:
  // admission takes one of that name for its own, and adds none if the account's automount is off.
  for (const char* field :
       {"nodeName", "priority", "preemptionPolicy", "serviceAccount", "ephemeralContainers"}) {
    spec.erase(field);
  }
  unpin(spec, key);
  fresh["spec"] = std::move(spec);
  return fresh;
}

bool node_chosen_by_user(const Json& pod) {
  // The scheduler binds through a subresource, which leaves no f:nodeName in managedFields.
  const Json& managers = kube::at(pod, "/metadata/managedFields");
  return std::any_of(managers.begin(), managers.end(), [](const Json& entry) {
    return !kube::at(entry, "/fieldsV1/f:spec/f:nodeName").is_null() &&
           kube::text_at(entry, "/manager") != "kube-scheduler";
  });
}

std::string pod_difference(const Json& old_pod, const Json& new_pod, const std::string& key) {
  Json wanted = recreatable_pod(old_pod, key);
  Json found = recreatable_pod(new_pod, key);
  erase_token_volume(wanted["spec"]);
  erase_token_volume(found["spec"]);
  return first_difference(wanted, found, Extra::kIgnored);
}

}  // namespace kcni::cni
