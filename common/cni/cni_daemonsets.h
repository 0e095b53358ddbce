// The DaemonSets that are the CNI, found by what they are and not by where they live.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/kube/client.h"

namespace kcni::cni {

enum class Cni { kFlannel, kCilium };

const char* name_of(Cni cni);
/// Throws Error (kUsage) unless "flannel" or "cilium".
Cni parse_cni(const std::string& flag, const std::string& value);

/// DaemonSets that the operator names because ours would not be recognised: "namespace/name".
struct NamedDaemonSets {
  std::string flannel;
  std::string cilium;
};

/// flannel: a label app or k8s-app = flannel, or an image whose last part is flannel; Cilium: a
/// container cilium-agent, or label k8s-app=cilium. cilium-envoy and the like are neither.
std::optional<Cni> cni_of(const kube::Json& daemonset, const NamedDaemonSets& named = {});

struct CniDaemonSet {
  Cni cni;
  kube::Json object;
};

/// Those among all DaemonSets of the cluster. A named one need not be there: Cilium comes later
/// than flannel, and flannel goes.
std::vector<CniDaemonSet> cni_daemonsets_in(const std::vector<kube::Json>& daemonsets,
                                            const NamedDaemonSets& named = {});

/// Reads all DaemonSets. Throws ApiError.
Task<std::vector<CniDaemonSet>> find_cni_daemonsets(kube::Client client, NamedDaemonSets named);

/// A DaemonSet's selector in the form of a list's labelSelector.
std::string label_selector_of(const kube::Json& workload);

/// The Pod's Ready condition is True and it is not being deleted.
bool pod_ready(const kube::Json& pod);

/// This very object owns the pod.
bool owned_by(const kube::Json& pod, const std::string& uid);

/// Error (kRefused) for a flannel that is part of another program (k3s): the nodes carry flannel's
/// annotations, yet no DaemonSet runs it, so nothing here could take it off a node.
Error embedded_flannel_error();
/// The keys of flannel's own annotations on the Node.
std::vector<std::string> flannel_annotations(const kube::Json& node);
bool has_flannel_annotations(const kube::Json& node);

}  // namespace kcni::cni
