#include "common/cni/old_revisions.h"

#include <algorithm>

#include "common/cni/in_place.h"
#include "common/cni/names.h"
#include "common/cni/scheduling.h"

namespace kcni::cni {

using kube::at;
using kube::Json;

namespace {

bool ours(const Json& object, const std::string& key) {
  return kube::annotation_of(object, kPinnedAnnotation) == key;
}

bool scaled_down(const Json& replica_set) {
  return kube::number_at(replica_set, "/spec/replicas", 1) == 0 &&
         kube::number_at(replica_set, "/status/replicas") == 0;
}

Json unpinned(const Json& replica_set, const std::string& key) {
  Json object = replica_set;
  object.merge_patch(unpin_history_patch(replica_set, key));
  return object;
}

// "{}" left by the patch is as good as none for the server.
Json selector_of(const Json& object) {
  const Json& selector = at(object, "/spec/template/spec/nodeSelector");
  return selector.is_null() ? Json::object() : selector;
}

bool equal_templates(const Json& one, const Json& other, const std::string& key) {
  return selector_of(one) == selector_of(other) &&
         same_but_for_pin(at(one, "/spec/template"), at(other, "/spec/template"), key);
}

}  // namespace

std::vector<OldReplicaSet> pinned_history(const Json& deployment,
                                          const std::vector<const Json*>& replica_sets,
                                          const std::string& key) {
  std::vector<OldReplicaSet> found;
  if (ours(deployment, key)) return found;
  std::vector<Json> kept{deployment};
  for (const auto* set : replica_sets) {
    if (!ours(*set, key) || !scaled_down(*set)) kept.push_back(*set);
  }
  for (const auto* set : replica_sets) {
    if (!ours(*set, key) || !scaled_down(*set)) continue;
    if (!selects_key(at(*set, "/spec/template/spec"), key)) continue;
    Json after = unpinned(*set, key);
    bool duplicate = std::any_of(kept.begin(), kept.end(), [&](const Json& other) {
      return equal_templates(after, other, key);
    });
    found.push_back({set, duplicate});
    if (!duplicate) kept.push_back(std::move(after));
  }
  return found;
}

Json unpin_history_patch(const Json& replica_set, const std::string& key) {
  auto before = kube::annotation_of(replica_set, kPinnedOverAnnotation);
  Json patch;
  auto& metadata = patch["metadata"];
  metadata["resourceVersion"] = kube::text_at(replica_set, "/metadata/resourceVersion");
  for (const char* annotation : {kPinnedAnnotation, kPinnedOverAnnotation, kInPlaceAnnotation}) {
    metadata["annotations"][annotation] = nullptr;
  }
  patch["spec"]["template"]["spec"]["nodeSelector"][key] = before.empty() ? Json() : Json(before);
  return patch;
}

bool revision_selects(const Json& controller_revision, const std::string& key) {
  return selects_key(at(controller_revision, "/data/spec/template/spec"), key);
}

}  // namespace kcni::cni
