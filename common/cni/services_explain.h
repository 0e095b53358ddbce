// What is wrong with a Service, and the cheapest cure.
//
// From cheap to dear: pods that still have an address of flannel → what flannel left on nodes →
// conntrack entries → a kube-proxy whose rules are stale → EndpointSlices that are wrong → the
// Service itself. Only what the API server knows is looked at; nobody logs in anywhere.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/cni/cni_daemonsets.h"
#include "common/cni/flannel_network.h"
#include "common/cni/services_broken.h"

namespace kcni::cni {

/// One thing that is wrong, and the command against it.
struct Finding {
  std::string what, cure;
};

/// The cluster as it was at about one time.
struct ServicesView {
  EndpointsView endpoints;
  FlannelNetwork network;
  std::set<std::string> on_flannel;  ///< nodes where flannel's pod runs
  bool has_cilium = false;           ///< else no node has left flannel, embedded or not
  std::vector<std::string> marked;   ///< nodes that it left, with its annotations
  /// By node: its kube-proxy's pod, and why that is not to be trusted.
  std::map<std::string, std::pair<std::string, std::string>> stale_proxy;
};

/// Pods, EndpointSlices and kube-proxies everywhere, flannel's configuration, and Nodes. A
/// kube-proxy is asked for its health through the API server (nodes/proxy); where that is not
/// allowed only its pod counts. Throws ApiError.
Task<ServicesView> look_at_services(kube::Client client, NamedDaemonSets named);

/// What is wrong, the cheapest cure first; nothing for a Service without selector, as its endpoints
/// are somebody else's work, and for one that is fine. Between a pod's change and its endpoint's
/// there always is a moment at which they disagree: what two looks say is true.
std::vector<Finding> explain(const kube::Json& service, const ServicesView& view);

}  // namespace kcni::cni
