#include "common/kube/resource.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "common/base/text.h"

namespace kcni::kube {

const Resource kNodes{"", "v1", "nodes", "node", "Node", false};
const Resource kPods{"", "v1", "pods", "pod", "Pod", true};
const Resource kServices{"", "v1", "services", "service", "Service", true};
const Resource kSecrets{"", "v1", "secrets", "secret", "Secret", true};
const Resource kConfigMaps{"", "v1", "configmaps", "configmap", "ConfigMap", true};
const Resource kEndpoints{"", "v1", "endpoints", "endpoints", "Endpoints", true};
const Resource kNamespaces{"", "v1", "namespaces", "namespace", "Namespace", false};
const Resource kPersistentVolumeClaims{
    "", "v1", "persistentvolumeclaims", "persistentvolumeclaim", "PersistentVolumeClaim", true};
const Resource kPersistentVolumes{
    "", "v1", "persistentvolumes", "persistentvolume", "PersistentVolume", false};
const Resource kReplicationControllers{
    "", "v1", "replicationcontrollers", "replicationcontroller", "ReplicationController", true};
const Resource kEndpointSlices{"discovery.k8s.io", "v1", "endpointslices", "endpointslice",
                               "EndpointSlice",    true};
const Resource kDeployments{"apps", "v1", "deployments", "deployment", "Deployment", true};
const Resource kStatefulSets{"apps", "v1", "statefulsets", "statefulset", "StatefulSet", true};
const Resource kDaemonSets{"apps", "v1", "daemonsets", "daemonset", "DaemonSet", true};
const Resource kReplicaSets{"apps", "v1", "replicasets", "replicaset", "ReplicaSet", true};
const Resource kControllerRevisions{
    "apps", "v1", "controllerrevisions", "controllerrevision", "ControllerRevision", true};
const Resource kJobs{"batch", "v1", "jobs", "job", "Job", true};
const Resource kCronJobs{"batch", "v1", "cronjobs", "cronjob", "CronJob", true};
const Resource kPodDisruptionBudgets{
    "policy", "v1", "poddisruptionbudgets", "poddisruptionbudget", "PodDisruptionBudget", true};

namespace {

const std::array<const Resource*, 19> kAll{&kNodes,
                                           &kPods,
                                           &kServices,
                                           &kSecrets,
                                           &kConfigMaps,
                                           &kEndpoints,
                                           &kNamespaces,
                                           &kReplicationControllers,
                                           &kDeployments,
                                           &kEndpointSlices,
                                           &kDaemonSets,
                                           &kReplicaSets,
                                           &kJobs,
                                           &kCronJobs,
                                           &kStatefulSets,
                                           &kPodDisruptionBudgets,
                                           &kControllerRevisions,
                                           &kPersistentVolumeClaims,
                                           &kPersistentVolumes};

constexpr std::array<std::pair<std::string_view, std::string_view>, 15> kShortNames{{
    {"no", "nodes"},
    {"po", "pods"},
    {"svc", "services"},
    {"cm", "configmaps"},
    {"ep", "endpoints"},
    {"ns", "namespaces"},
    {"rc", "replicationcontrollers"},
    {"deploy", "deployments"},
    {"sts", "statefulsets"},
    {"ds", "daemonsets"},
    {"rs", "replicasets"},
    {"cj", "cronjobs"},
    {"pdb", "poddisruptionbudgets"},
    {"pvc", "persistentvolumeclaims"},
    {"pv", "persistentvolumes"},
}};

}  // namespace

std::string Resource::api_version() const {
  return *group ? fmt::format("{}/{}", group, version) : version;
}

std::string Resource::display(std::string_view name) const {
  return *group ? fmt::format("{}.{}/{}", singular, group, name)
                : fmt::format("{}/{}", singular, name);
}

std::string Resource::path(std::string_view ns, std::string_view name) const {
  std::string result =
      *group ? fmt::format("/apis/{}/{}", group, version) : fmt::format("/api/{}", version);
  if (namespaced && !ns.empty()) result += "/namespaces/" + escape(ns);
  result += fmt::format("/{}", plural);
  if (!name.empty()) result += "/" + escape(name);
  return result;
}

const Resource* find_resource(std::string_view word) {
  std::string name = lower(word);
  for (const auto& [short_name, plural] : kShortNames) {
    if (name == short_name) name = plural;
  }
  for (const Resource* resource : kAll) {
    for (std::string_view known : {resource->plural, resource->singular}) {
      if (name == known) return resource;
      if (*resource->group && name == fmt::format("{}.{}", known, resource->group)) return resource;
    }
  }
  return nullptr;
}

const Resource* resource_of(const Json& object) {
  return resource_of(text_at(object, "/apiVersion"), text_at(object, "/kind"));
}

const Resource* resource_of(std::string_view api_version, std::string_view kind) {
  for (const Resource* resource : kAll) {
    if (kind == resource->kind && api_version == resource->api_version()) return resource;
  }
  return nullptr;
}

std::string escape(std::string_view text) {
  std::string result;
  for (unsigned char c : text) {
    if (std::isalnum(c) || c == '-' || c == '_' || c == '.' || c == '~') {
      result += static_cast<char>(c);
    } else {
      result += fmt::format("%{:02X}", c);
    }
  }
  return result;
}

}  // namespace kcni::kube
