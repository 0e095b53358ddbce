#include "common/cni/replacements.h"

#include <fmt/format.h>

#include <set>

#include "common/base/text.h"
#include "common/cni/cni_daemonsets.h"
#include "common/cni/missing.h"
#include "common/cni/pods.h"
#include "common/kube/watch.h"

namespace kcni::cni {

using kube::Json;

namespace {

constexpr Milliseconds kPause{500};

using KeysByUid = std::map<std::string, std::string>;
using CountsByUid = std::map<std::string, long>;

Task<> wait_for_place(kube::Client client, Owners::Place place, KeysByUid owners, Missing& missing,
                      std::size_t number, CountsByUid& wanted) {
  const auto* resource = place.first;
  kube::Query query;
  query.resource = resource;
  query.ns = place.second;
  kube::Until whole = [&](const kube::Snapshot& snapshot) {
    std::vector<std::string> now;
    for (const auto& [uid, key] : owners) {
      wanted.erase(uid);
      auto found = snapshot.find(key);
      if (found == snapshot.end() || kube::uid_of(found->second) != uid) continue;  // it has gone
      if (resource != &kube::kPods) {
        wanted[uid] = kube::number_at(found->second, "/spec/replicas", 1);
      }
      auto why = replacement_missing(found->second);
      if (!why.empty()) now.push_back(fmt::format("{}: {}", resource->display(key), why));
    }
    return missing.update(number, std::move(now));
  };
  try {
    co_await kube::list_then_watch(client, query, whole);
  } catch (const TimedOut&) {
    throw TimedOut("timed out waiting for replacements: " + some_of(missing.of(number)));
  }
}

// A status may still count the pod that went just now, so the pods have the last word.
Task<bool> have_pods(kube::Client client, std::set<std::string> namespaces, CountsByUid wanted) {
  for (const auto& ns : namespaces) {
    kube::Query query;
    query.resource = &kube::kPods;
    query.ns = ns;
    auto pods = co_await client.list(query);
    for (const auto& pod : pods.items) {
      auto owner = wanted.find(kube::text_at(kube::controller_of(pod), "/uid"));
      if (owner != wanted.end() && pod_ready(pod)) --owner->second;
    }
  }
  for (const auto& [uid, count] : wanted) {
    if (count > 0) co_return false;
  }
  co_return true;
}

}  // namespace

void Owners::add(const Json& pod) {
  const Json& owner = kube::controller_of(pod);
  const auto* resource =
      kube::resource_of(kube::text_at(owner, "/apiVersion"), kube::text_at(owner, "/kind"));
  bool replaces = resource == &kube::kReplicaSets || resource == &kube::kStatefulSets ||
                  resource == &kube::kReplicationControllers;
  if (!replaces) return;
  namespaces_.insert(kube::namespace_of(pod));
  by_place_[{resource, ""}][kube::text_at(owner, "/uid")] =
      kube::namespace_of(pod) + "/" + kube::text_at(owner, "/name");
}

void Owners::add_made(const Json& pod) {
  by_place_[{&kube::kPods, kube::namespace_of(pod)}][kube::uid_of(pod)] = kube::key_of(pod);
}

std::string replacement_missing(const Json& object) {
  if (kube::text_at(object, "/kind") == "Pod") {
    return pod_ready(object) || finished(object) ? "" : "it is not ready";
  }
  long seen = kube::number_at(object, "/status/observedGeneration");
  if (seen < kube::number_at(object, "/metadata/generation")) {
    return "its controller has not seen the change yet";
  }
  long wanted = kube::number_at(object, "/spec/replicas", 1);
  long ready = kube::number_at(object, "/status/readyReplicas");
  if (ready >= wanted) return "";
  return fmt::format("{} of {} pods are ready", ready, wanted);
}

Task<> wait_for_replacements(kube::Client client, Owners owners,
                             std::function<void(const std::string&)> progress) {
  Missing missing(std::move(progress));
  bool whole = false;
  while (!whole) {
    CountsByUid wanted;
    std::vector<Task<>> waits;
    for (const auto& [place, keys] : owners.by_place()) {
      waits.push_back(wait_for_place(client, place, keys, missing, waits.size(), wanted));
    }
    co_await all(std::move(waits));
    whole = co_await have_pods(client, owners.namespaces(), wanted);
    if (!whole) co_await client.loop().sleep(kPause);
  }
}

}  // namespace kcni::cni
