// The resources that the suite speaks of, and their paths and names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/kube/json.h"

namespace kcni::kube {

/// One resource type of the API. The constants below are all there are; compare by address.
struct Resource {
  const char* group;  ///< "" is the core group
  const char* version;
  const char* plural;
  const char* singular;
  const char* kind;
  bool namespaced;

  std::string api_version() const;
  /// As kubectl prints it: "pod/web-1", "deployment.apps/web".
  std::string display(std::string_view name) const;
  /// "/api/v1/namespaces/shop/pods/web-1"; without namespace: of all namespaces; without name: the
  /// collection.
  std::string path(std::string_view ns, std::string_view name = "") const;
};

extern const Resource kNodes, kPods, kServices, kSecrets, kConfigMaps, kEndpoints, kNamespaces;
extern const Resource kEndpointSlices, kReplicationControllers;
extern const Resource kPersistentVolumeClaims, kPersistentVolumes;
extern const Resource kDeployments, kStatefulSets, kDaemonSets, kReplicaSets;
extern const Resource kControllerRevisions;
extern const Resource kJobs, kCronJobs, kPodDisruptionBudgets;

/// Finds a resource by plural, singular, kind, short name or "deployments.apps" as a user would
/// type it, whatever the case; nullptr when it is none of ours.
const Resource* find_resource(std::string_view word);

/// The resource of an object's, or an ownerReference's, own kind and apiVersion, or nullptr.
const Resource* resource_of(const Json& object);
const Resource* resource_of(std::string_view api_version, std::string_view kind);

/// Percent-encodes for one path segment or query value.
std::string escape(std::string_view text);

}  // namespace kcni::kube
