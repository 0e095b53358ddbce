#include "common/cni/replacements.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/text.h"
#include "common/cni/cni_daemonsets.h"
#include "common/cni/missing.h"
#include "common/cni/pods.h"
#include "common/kube/watch.h"

namespace kcni::cni {

using kube::Json;

namespace {

constexpr Milliseconds kLook{10'000};

using KeysByUid = std::map<std::string, std::string>;
using CountsByUid = std::map<std::string, long>;
using CountsByNamespace = std::map<std::string, CountsByUid>;

void note_superseded(const Json& set, KeysByUid& deployments) {
  const Json& owner = kube::controller_of(set);
  if (kube::text_at(owner, "/kind") != "Deployment") return;
  deployments.erase(kube::text_at(owner, "/uid"));
  if (kube::number_at(set, "/spec/replicas", 1) > 0) return;
  deployments[kube::text_at(owner, "/uid")] =
      kube::namespace_of(set) + "/" + kube::text_at(owner, "/name");
}

// superseded: gets the Deployments whose ReplicaSets here are not the ones to wait for any more.
Task<> wait_for_place(kube::Client client, Owners::Place place, KeysByUid owners, Missing& missing,
                      std::size_t number, CountsByNamespace& wanted, KeysByUid& superseded) {
  const auto* resource = place.first;
  kube::Query query;
  query.resource = resource;
  query.ns = place.second;
  kube::Until whole = [&](const kube::Snapshot& snapshot) {
    std::vector<std::string> now;
    for (const auto& [uid, key] : owners) {
      auto& counts = wanted[key.substr(0, key.find('/'))];
      counts.erase(uid);
      auto found = snapshot.find(key);
      if (found == snapshot.end() || kube::uid_of(found->second) != uid) continue;  // it has gone
      note_superseded(found->second, superseded);
      if (resource != &kube::kPods && resource != &kube::kDeployments) {
        counts[uid] = kube::number_at(found->second, "/spec/replicas", 1);
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

// A status may still count the pod that went just now, so the pods have the last word. False when
// they are not there after a while: somebody may have scaled their owner meanwhile.
Task<bool> have_pods(kube::Client client, std::string ns, CountsByUid wanted) {
  kube::Query query;
  query.resource = &kube::kPods;
  query.ns = std::move(ns);
  kube::Until all_there = [&wanted](const kube::Snapshot& pods) {
    auto left = wanted;
    for (const auto& [key, pod] : pods) {
      auto owner = left.find(kube::text_at(kube::controller_of(pod), "/uid"));
      if (owner != left.end() && pod_ready(pod)) --owner->second;
    }
    return std::none_of(left.begin(), left.end(), [](const auto& one) { return one.second > 0; });
  };
  try {
    co_await kube::list_then_watch(client.until(Deadline::after(kLook)), query, all_there);
    co_return true;
  } catch (const TimedOut&) {
    if (client.deadline().passed()) {
      throw TimedOut("timed out waiting for replacements to be Ready in namespace " + query.ns);
    }
  }
  co_return false;
}

}  // namespace

void Owners::add(const Json& pod) {
  const Json& owner = kube::controller_of(pod);
  const auto* resource = kube::resource_of(owner);
  bool replaces = resource == &kube::kReplicaSets || resource == &kube::kStatefulSets ||
                  resource == &kube::kReplicationControllers;
  if (!replaces) return;
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
    CountsByNamespace wanted;
    KeysByUid superseded, none;
    std::vector<Task<>> waits;
    for (const auto& [place, keys] : owners.by_place()) {
      waits.push_back(
          wait_for_place(client, place, keys, missing, waits.size(), wanted, superseded));
    }
    auto number = waits.size();
    co_await all(std::move(waits));
    if (!superseded.empty()) {
      co_await wait_for_place(client, {&kube::kDeployments, ""}, superseded, missing, number,
                              wanted, none);
    }
    std::vector<Task<bool>> looks;
    for (const auto& [ns, counts] : wanted) {
      if (!counts.empty()) looks.push_back(have_pods(client, ns, counts));
    }
    auto there = co_await all(std::move(looks));
    whole = std::all_of(there.begin(), there.end(), [](bool one) { return one; });
  }
}

}  // namespace kcni::cni
