// What flannel's own configuration says: its address ranges, backend and VNIs.
#pragma once

#include <string>
#include <vector>

#include "common/cni/cidr.h"
#include "common/kube/client.h"

namespace kcni::cni {

struct FlannelNetwork {
  std::vector<Cidr> ranges;
  std::string backend;     ///< "vxlan", "host-gw", "wireguard", …; "" when unknown
  std::vector<long> vnis;  ///< of vxlan; flannel's default is 1
};

/// From the net-conf.json of flannel's ConfigMap (flannel, Documentation/configuration.md). Throws
/// Error (kFailed) when that is no JSON.
FlannelNetwork parse_net_conf(const std::string& net_conf);

/// Adds the VNIs that the nodes' flannel.alpha.coreos.com/backend-data annotations tell of.
void add_vnis(FlannelNetwork& network, const std::vector<kube::Json>& nodes);

/// Reads the ConfigMaps called kube-flannel-cfg, whichever namespace they are in: they outlive the
/// DaemonSet. No ranges when there is none.
Task<FlannelNetwork> find_flannel_network(kube::Client client);

/// One of the pod's own (not its node's) addresses is in flannel's range and the pod is unfinished.
bool has_flannel_address(const kube::Json& pod, const FlannelNetwork& network);

}  // namespace kcni::cni
