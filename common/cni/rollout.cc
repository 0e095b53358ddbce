#include "common/cni/rollout.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "common/base/text.h"
#include "common/cni/missing.h"
#include "common/kube/watch.h"

namespace kcni::cni {

using kube::Json;
using kube::number_at;
using kube::text_at;

namespace {

bool observed(const Json& object) {
  return number_at(object, "/status/observedGeneration") >=
         number_at(object, "/metadata/generation");
}

std::string deployment_missing(const Json& object) {
  if (kube::flag_at(object, "/spec/paused")) return "";
  if (!observed(object)) return "its controller has not seen the change yet";
  long wanted = number_at(object, "/spec/replicas", 1);
  long updated = number_at(object, "/status/updatedReplicas");
  long total = number_at(object, "/status/replicas");
  long available = number_at(object, "/status/availableReplicas");
  if (updated < wanted) return fmt::format("{} of {} pods are new", updated, wanted);
  if (total > updated) return fmt::format("{} old pods are still there", total - updated);
  if (available < updated)
    return fmt::format("{} of {} new pods are available", available, updated);
  return "";
}

std::string statefulset_missing(const Json& object) {
  if (text_at(object, "/spec/updateStrategy/type") == "OnDelete") return "";
  if (!observed(object)) return "its controller has not seen the change yet";
  long wanted = number_at(object, "/spec/replicas", 1);
  long ready = number_at(object, "/status/readyReplicas");
  long partition = number_at(object, "/spec/updateStrategy/rollingUpdate/partition");
  long updated = number_at(object, "/status/updatedReplicas");
  if (ready < wanted) return fmt::format("{} of {} pods are ready", ready, wanted);
  if (partition > 0) {
    if (updated >= wanted - partition) return "";
    return fmt::format("{} of {} pods are new", updated, wanted - partition);
  }
  if (text_at(object, "/status/updateRevision") != text_at(object, "/status/currentRevision")) {
    return fmt::format("{} of {} pods are new", updated, wanted);
  }
  // After OnDelete both revisions can be the same while pods of another one are still to be rolled.
  if (updated < ready) return fmt::format("{} of {} pods are new", updated, wanted);
  return "";
}

std::string daemonset_missing(const Json& object) {
  if (text_at(object, "/spec/updateStrategy/type") == "OnDelete") return "";
  if (!observed(object)) return "its controller has not seen the change yet";
  long wanted = number_at(object, "/status/desiredNumberScheduled");
  long updated = number_at(object, "/status/updatedNumberScheduled");
  long available = number_at(object, "/status/numberAvailable");
  if (updated < wanted) return fmt::format("{} of {} pods are new", updated, wanted);
  if (available < wanted) return fmt::format("{} of {} new pods are available", available, wanted);
  return "";
}

// Who has rights in one namespace only need not have them in all.
std::string only_namespace(const std::set<std::string>& keys) {
  std::set<std::string> namespaces;
  for (const auto& key : keys) namespaces.insert(key.substr(0, key.find('/')));
  return namespaces.size() == 1 ? *namespaces.begin() : "";
}

Task<> wait_for_kind(kube::Client client, const kube::Resource* resource,
                     std::set<std::string> keys, Missing& missing, std::size_t number) {
  kube::Query query;
  query.resource = resource;
  query.ns = only_namespace(keys);
  kube::Until done = [&](const kube::Snapshot& snapshot) {
    std::vector<std::string> now;
    for (const auto& key : keys) {
      auto found = snapshot.find(key);
      if (found == snapshot.end()) continue;
      auto reason = rollout_missing(*resource, found->second);
      if (!reason.empty()) now.push_back(fmt::format("{}: {}", resource->display(key), reason));
    }
    return missing.update(number, std::move(now));
  };
  try {
    co_await kube::list_then_watch(client, query, done);
  } catch (const TimedOut&) {
    throw TimedOut("timed out waiting for rollouts: " + some_of(missing.of(number)));
  }
}

}  // namespace

std::string rollout_missing(const kube::Resource& resource, const Json& object) {
  if (&resource == &kube::kDeployments) return deployment_missing(object);
  if (&resource == &kube::kStatefulSets) return statefulset_missing(object);
  if (&resource == &kube::kDaemonSets) return daemonset_missing(object);
  return "";
}

Json restart_patch(const Json& workload, const std::string& now) {
  Json patch;
  patch["metadata"]["resourceVersion"] = kube::text_at(workload, "/metadata/resourceVersion");
  patch["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = now;
  return patch;
}

Task<> wait_for_rollouts(kube::Client client, std::vector<Workload> workloads,
                         std::function<void(const std::string&)> progress) {
  std::map<const kube::Resource*, std::set<std::string>> by_kind;
  for (const auto& workload : workloads) {
    by_kind[workload.resource].insert(kube::key_of(workload.object));
  }
  Missing missing(std::move(progress));
  std::vector<Task<>> waits;
  for (const auto* resource : {&kube::kDeployments, &kube::kStatefulSets, &kube::kDaemonSets}) {
    auto found = by_kind.find(resource);
    if (found == by_kind.end()) continue;
    waits.push_back(wait_for_kind(client, resource, found->second, missing, waits.size()));
  }
  co_await all(std::move(waits));
}

}  // namespace kcni::cni
