#include "common/cni/flannel_network.h"

#include <algorithm>

#include "common/base/error.h"
#include "common/cni/cni_daemonsets.h"
#include "common/cni/pods.h"

namespace kcni::cni {

using kube::at;
using kube::Json;
using kube::text_at;

namespace {

// What no vxlan can have comes from somebody who would mislead us.
void add_vni(FlannelNetwork& network, long vni) {
  if (vni < 0 || vni >= 1L << 24) return;
  if (std::find(network.vnis.begin(), network.vnis.end(), vni) == network.vnis.end()) {
    network.vnis.push_back(vni);
  }
}

void add_config(FlannelNetwork& network, const Json& config) {
  auto net_conf = text_at(config, "/data/net-conf.json");
  if (net_conf.empty()) return;
  auto found = parse_net_conf(net_conf);
  network.backend = found.backend;
  network.ranges.insert(network.ranges.end(), found.ranges.begin(), found.ranges.end());
  for (long vni : found.vnis) add_vni(network, vni);
}

// A flannel whose ConfigMap has another name: its DaemonSet mounts it.
Task<> add_mounted_configs(kube::Client client, FlannelNetwork& network) {
  NamedDaemonSets nothing_named;
  auto daemonsets = co_await find_cni_daemonsets(client, nothing_named);
  for (const auto& daemonset : daemonsets) {
    if (daemonset.cni != Cni::kFlannel) continue;
    for (const auto& volume : at(daemonset.object, "/spec/template/spec/volumes")) {
      auto name = text_at(volume, "/configMap/name");
      if (name.empty()) continue;
      auto ns = kube::namespace_of(daemonset.object);
      auto answer = co_await client.get(kube::kConfigMaps, ns, name);
      if (answer.ok()) add_config(network, answer.body);
    }
  }
}

}  // namespace

FlannelNetwork parse_net_conf(const std::string& net_conf) {
  Json conf = Json::parse(net_conf, nullptr, false);
  if (conf.is_discarded()) throw failed("net-conf.json in ConfigMap kube-flannel-cfg is no JSON");
  FlannelNetwork network;
  for (const char* field : {"/Network", "/IPv6Network"}) {
    if (auto range = Cidr::parse(text_at(conf, field))) network.ranges.push_back(*range);
  }
  network.backend = text_at(conf, "/Backend/Type");
  if (network.backend == "vxlan") add_vni(network, kube::number_at(conf, "/Backend/VNI", 1));
  return network;
}

void add_vnis(FlannelNetwork& network, const std::vector<Json>& nodes) {
  for (const auto& node : nodes) {
    auto data = kube::annotation_of(node, "flannel.alpha.coreos.com/backend-data");
    Json parsed = Json::parse(data, nullptr, false);
    if (parsed.is_object() && at(parsed, "/VNI").is_number_integer()) {
      add_vni(network, kube::number_at(parsed, "/VNI"));
    }
  }
}

Task<FlannelNetwork> find_flannel_network(kube::Client client) {
  kube::Query query;
  query.resource = &kube::kConfigMaps;
  query.field_selector = "metadata.name=kube-flannel-cfg";
  auto list = co_await client.list(query);
  FlannelNetwork network;
  for (const auto& config : list.items) add_config(network, config);
  if (network.ranges.empty()) co_await add_mounted_configs(client, network);
  co_return network;
}

bool has_flannel_address(const Json& pod, const FlannelNetwork& network) {
  if (on_host_network(pod) || finished(pod)) return false;
  const Json& addresses = at(pod, "/status/podIPs");
  return std::any_of(addresses.begin(), addresses.end(), [&](const Json& address) {
    return any_contains(network.ranges, text_at(address, "/ip"));
  });
}

}  // namespace kcni::cni
