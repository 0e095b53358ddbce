// Who else writes an object, and may put back what we change in it.
#pragma once

#include <string>

#include "common/kube/json.h"

namespace kcni::cni {

struct Manager {
  std::string name;  ///< "App app-1", "Argo CD", "Flux", "Helm"; "" when nobody is known
  bool reconciles =
      false;  ///< it looks at the object by itself; Helm does so at its next upgrade only
};

/// By its controller, when that is of a kind which is not Kubernetes' own, else by the marks that
/// Argo CD (argo-cd docs, "Resource Tracking"), Flux (kustomize.toolkit.fluxcd.io/name,
/// helm.toolkit.fluxcd.io/name) and Helm (app.kubernetes.io/managed-by) leave on objects.
Manager manager_of(const kube::Json& object);

/// The controller's kind is not one of Kubernetes' own: an operator may put back what we patch.
bool has_custom_owner(const kube::Json& object);

}  // namespace kcni::cni
