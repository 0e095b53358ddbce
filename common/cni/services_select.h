// Choosing the Services to recreate.
#pragma once

#include <string>
#include <vector>

#include "common/cni/services_recreate.h"
#include "common/kube/client.h"

namespace kcni::cni {

/// Which Services a command is about: names in one namespace, or all that a selector matches.
struct ServiceSelection {
  std::vector<std::string> names;  ///< "web", "service/web" or "svc/web"
  std::string ns;                  ///< empty: all namespaces
  std::string label_selector;
};

/// The selected Services; names are all looked up before anything is returned. Throws ApiError
/// (NotFound) for the first unknown one, Error (kUsage) for a name of another kind.
Task<std::vector<kube::Json>> select_services(kube::Client client, ServiceSelection selection);

struct ServicePlan {
  std::vector<kube::Json> recreate;
  std::vector<std::string> left_alone;  ///< "service/web in namespace shop left alone: …"
};

/// Sorts out those that are left alone. default/kubernetes is mentioned only when it was named.
ServicePlan plan_services(std::vector<kube::Json> services, const ServiceConsent& consent);

}  // namespace kcni::cni
