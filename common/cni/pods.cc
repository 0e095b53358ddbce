#include "common/cni/pods.h"

#include <fmt/format.h>

#include <algorithm>

namespace kcni::cni {

using kube::at;
using kube::Json;
using kube::text_at;

bool finished(const Json& pod) {
  auto phase = text_at(pod, "/status/phase");
  return phase == "Succeeded" || phase == "Failed";
}

bool on_host_network(const Json& pod) {
  return kube::flag_at(pod, "/spec/hostNetwork");
}

bool is_mirror(const Json& pod) {
  const Json& annotations = at(pod, "/metadata/annotations");
  return annotations.is_object() && annotations.contains("kubernetes.io/config.mirror");
}

bool has_empty_dir(const Json& pod) {
  const Json& volumes = at(pod, "/spec/volumes");
  return std::any_of(volumes.begin(), volumes.end(),
                     [](const Json& volume) { return volume.contains("emptyDir"); });
}

bool of_daemonset(const Json& pod) {
  const Json& owner = kube::controller_of(pod);
  return text_at(owner, "/kind") == "DaemonSet" && text_at(owner, "/apiVersion") == "apps/v1";
}

bool is_bare(const Json& pod) {
  return kube::controller_of(pod).is_null() && !is_mirror(pod);
}

std::string node_of(const Json& pod) {
  return text_at(pod, "/spec/nodeName");
}

std::string place_of(const Json& pod) {
  return fmt::format("pod/{} in namespace {}", kube::name_of(pod), kube::namespace_of(pod));
}

}  // namespace kcni::cni
