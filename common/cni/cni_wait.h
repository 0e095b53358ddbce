// Waiting until the CNI's own pods are where the node labels say.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/cni/cni_daemonsets.h"
#include "common/kube/client.h"

namespace kcni::cni {

/// What is still missing before the CNI pods match the labels of these nodes, e.g.
/// "pod/kube-flannel-ds-x7 is still on node/w1" or "no Ready pod of daemonset.apps/cilium on
/// node/w1"; empty when all is as it must be. A pure function of its arguments.
std::vector<std::string> cni_pods_missing(const CniDaemonSet& daemonset,
                                          const std::vector<kube::Json>& nodes,
                                          const std::vector<const kube::Json*>& pods);

/// Watches the pods of each CNI DaemonSet until, on each of the nodes (as labelled now), those that
/// may not run there are gone and those that must are Ready. progress gets what is missing whenever
/// that changes. Throws TimedOut, naming what is missing, when the client's deadline passes.
Task<> wait_for_cni_pods(kube::Client client, std::vector<CniDaemonSet> daemonsets,
                         std::vector<kube::Json> nodes,
                         std::function<void(const std::string&)> progress);

}  // namespace kcni::cni
