#include "common/cni/stuck.h"

#include <fmt/format.h>

#include "common/base/text.h"
#include "common/cni/pods.h"

namespace kcni::cni {

using kube::Json;

namespace {

const Json& ready_condition(const Json& node) {
  static const Json kNone;
  for (const auto& condition : kube::at(node, "/status/conditions")) {
    if (kube::text_at(condition, "/type") == "Ready") return condition;
  }
  return kNone;
}

std::vector<std::string> running_containers(const Json& pod) {
  std::vector<std::string> names;
  for (const auto& status : kube::at(pod, "/status/containerStatuses")) {
    if (!kube::at(status, "/state/running").is_null()) {
      names.push_back(kube::text_at(status, "/name"));
    }
  }
  return names;
}

}  // namespace

std::string stuck_reason(const Json& pod, const Json& node) {
  const Json& finalizers = kube::at(pod, "/metadata/finalizers");
  if (finalizers.is_array() && !finalizers.empty()) {
    std::vector<std::string> names(finalizers.begin(), finalizers.end());
    return "its finalizers have not been taken off: " + some_of(names);
  }
  auto name = node_of(pod);
  if (node.is_null()) return fmt::format("its node {} is gone", name);
  const Json& ready = ready_condition(node);
  if (kube::text_at(ready, "/status") != "True") {
    auto message = kube::text_at(ready, "/message");
    return fmt::format("the kubelet of node/{} does not confirm it: not Ready{}", name,
                       message.empty() ? "" : " (" + message + ")");
  }
  auto running = running_containers(pod);
  if (!running.empty()) return "still running: container " + some_of(running);
  return "the kubelet has not finished with it";
}

Task<std::string> read_stuck_reason(kube::Client client, Json pod) {
  auto answer = co_await client.get(kube::kPods, kube::namespace_of(pod), kube::name_of(pod));
  if (!answer.ok() || kube::uid_of(answer.body) != kube::uid_of(pod)) co_return "";
  Json node;
  auto its_node = co_await client.get(kube::kNodes, "", node_of(pod));
  if (its_node.ok()) {
    node = std::move(its_node.body);
  } else if (!its_node.not_found()) {
    co_return "";
  }
  co_return stuck_reason(answer.body, node);
}

}  // namespace kcni::cni
