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

}  // namespace

Json recreatable_pod(const Json& pod, const std::string& key) {
  Json fresh = {{"apiVersion", "v1"}, {"kind", "Pod"}};
  fresh["metadata"] = fresh_metadata(kube::at(pod, "/metadata"));
  if (fresh["metadata"].contains("annotations")) {
    auto& annotations = fresh["metadata"]["annotations"];
    annotations.erase(kPinnedAnnotation);
    if (annotations.empty()) fresh["metadata"].erase("annotations");
  }
  Json spec = kube::at(pod, "/spec");
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
