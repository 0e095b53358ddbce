#include "common/cni/cni_wait.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/text.h"
#include "common/cni/missing.h"
#include "common/cni/pods.h"
#include "common/cni/scheduling.h"
#include "common/kube/watch.h"

namespace kcni::cni {

using kube::Json;

namespace {

Task<> wait_for_one(kube::Client client, CniDaemonSet daemonset, const std::vector<Json>& nodes,
                    Missing& missing, std::size_t number) {
  kube::Query query;
  query.resource = &kube::kPods;
  query.ns = kube::namespace_of(daemonset.object);
  query.label_selector = label_selector_of(daemonset.object);
  kube::Until done = [&](const kube::Snapshot& snapshot) {
    std::vector<const Json*> pods;
    for (const auto& [key, pod] : snapshot) pods.push_back(&pod);
    return missing.update(number, cni_pods_missing(daemonset, nodes, pods));
  };
  try {
    co_await kube::list_then_watch(client, query, done);
  } catch (const TimedOut&) {
    throw TimedOut(fmt::format("timed out: {}", some_of(missing.of(number))));
  }
}

}  // namespace

std::vector<std::string> cni_pods_missing(const CniDaemonSet& daemonset,
                                          const std::vector<Json>& nodes,
                                          const std::vector<const Json*>& pods) {
  std::vector<std::string> missing;
  auto uid = kube::uid_of(daemonset.object);
  const Json& spec = kube::at(daemonset.object, "/spec/template/spec");
  std::map<std::string, std::vector<const Json*>> by_node;
  for (const auto* pod : pods) {
    if (owned_by(*pod, uid) && !finished(*pod)) by_node[node_of(*pod)].push_back(pod);
  }
  for (const auto& node : nodes) {
    const auto& here = by_node[kube::name_of(node)];
    if (!may_run_on(spec, node)) {
      for (const auto* pod : here) {
        missing.push_back(
            fmt::format("pod/{} is still on node/{}", kube::name_of(*pod), kube::name_of(node)));
      }
    } else if (std::none_of(here.begin(), here.end(),
                            [](const Json* pod) { return pod_ready(*pod); })) {
      missing.push_back(fmt::format("no Ready pod of daemonset.apps/{} on node/{}",
                                    kube::name_of(daemonset.object), kube::name_of(node)));
    }
  }
  return missing;
}

Task<> wait_for_cni_pods(kube::Client client, std::vector<CniDaemonSet> daemonsets,
                         std::vector<Json> nodes,
                         std::function<void(const std::string&)> progress) {
  Missing missing(std::move(progress));
  std::vector<Task<>> waits;
  for (const auto& daemonset : daemonsets) {
    waits.push_back(wait_for_one(client, daemonset, nodes, missing, waits.size()));
  }
  co_await all(std::move(waits));
}

}  // namespace kcni::cni
