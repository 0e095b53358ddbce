#include "common/cni/managed.h"

#include <algorithm>
#include <array>

namespace kcni::cni {

using kube::Json;

bool has_custom_owner(const Json& object) {
  const Json& owner = kube::controller_of(object);
  if (owner.is_null()) return false;
  auto group = kube::text_at(owner, "/apiVersion");
  return group != "v1" && group != "apps/v1" && group != "batch/v1";
}

Manager manager_of(const Json& object) {
  if (has_custom_owner(object)) {
    const Json& owner = kube::controller_of(object);
    return {kube::text_at(owner, "/kind") + " " + kube::text_at(owner, "/name"), true};
  }
  bool argo = kube::has_label(object, "argocd.argoproj.io/instance") ||
              !kube::annotation_of(object, "argocd.argoproj.io/tracking-id").empty();
  if (argo) return {"Argo CD", true};
  bool flux = kube::has_label(object, "kustomize.toolkit.fluxcd.io/name") ||
              kube::has_label(object, "helm.toolkit.fluxcd.io/name");
  if (flux) return {"Flux", true};
  if (kube::label_of(object, "app.kubernetes.io/managed-by") == "Helm") return {"Helm", false};
  return {};
}

}  // namespace kcni::cni
