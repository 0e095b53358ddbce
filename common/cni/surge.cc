#include "common/cni/surge.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "common/base/bounded.h"
#include "common/base/time.h"
#include "common/cni/cni_daemonsets.h"
#include "common/cni/neighbourhood.h"
#include "common/cni/pods.h"
#include "common/cni/rollout.h"
#include "common/cni/volumes.h"

namespace kcni::cni {

using kube::Json;

namespace {

constexpr std::size_t kAtOnce = 5;
constexpr int kMaxTries = 5;
constexpr const char* kDefaultShare = "25%";

// An IntOrString of so many pods.
long resolved(const Json& value, long pods, bool up) {
  if (value.is_number_integer()) return value.get<long>();
  auto text = value.is_string() ? value.get<std::string>() : kDefaultShare;
  double exact = static_cast<double>(pods) * std::atof(text.c_str()) / 100;
  return static_cast<long>(up ? std::ceil(exact) : std::floor(exact));
}

class Surger {
 public:
  Surger(kube::Client client, SurgeOptions options)
      : client_(std::move(client)), options_(std::move(options)) {
    kube::Query query;
    query.resource = &kube::kDeployments;
    tracker_.emplace(client_, query);
  }

  Task<Surged> run(std::vector<Json> pods) {
    auto deployments = co_await deployments_of(pods);
    if (!deployments.empty() && !options_.tries) tracker_->start();
    std::vector<std::pair<Name, std::set<std::string>>> list(deployments.begin(),
                                                             deployments.end());
    std::function<Task<>(std::size_t)> make = [&](std::size_t i) {
      return treat_or_report(list[i].first, list[i].second);
    };
    co_await at_most(kAtOnce, list.size(), make);
    co_return std::move(surged_);
  }

 private:
  using Name = std::pair<std::string, std::string>;  // namespace and name

  // With the UIDs of their pods.
  Task<std::map<Name, std::set<std::string>>> deployments_of(const std::vector<Json>& pods) {
    std::map<Name, std::set<std::string>> sets, deployments;
    for (const auto& pod : pods) {
      const Json& owner = kube::controller_of(pod);
      if (kube::text_at(owner, "/kind") != "ReplicaSet") continue;
      sets[{kube::namespace_of(pod), kube::text_at(owner, "/name")}].insert(kube::uid_of(pod));
    }
    for (const auto& [name, uids] : sets) {
      auto answer = co_await client_.get(kube::kReplicaSets, name.first, name.second);
      if (answer.not_found()) continue;
      Json set = kube::body_or_throw(std::move(answer));
      const Json& owner = kube::controller_of(set);
      if (kube::text_at(owner, "/kind") != "Deployment") continue;
      deployments[{name.first, kube::text_at(owner, "/name")}].insert(uids.begin(), uids.end());
    }
    co_return deployments;
  }

  Task<> treat_or_report(const Name& name, const std::set<std::string>& pods) {
    try {
      bool moved = co_await treat(name.first, name.second);
      if (moved && options_.tries) surged_.moved.insert(pods.begin(), pods.end());
      co_return;
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      options_.report(error);
    }
    surged_.held.insert(pods.begin(), pods.end());
  }

  // False when it is left to the eviction.
  Task<bool> treat(std::string ns, std::string name) {
    for (int i = 0; i < kMaxTries; ++i) {
      auto answer = co_await client_.get(kube::kDeployments, ns, name);
      if (answer.not_found()) co_return false;
      Workload deployment{&kube::kDeployments, kube::body_or_throw(std::move(answer))};
      bool here_only = co_await is_ready_here_only(deployment);
      if (!here_only) co_return false;
      auto why = co_await refusal(deployment);
      if (!why.empty()) {
        options_.warn(
            fmt::format("{} cannot surge: {}; its pods are away until they are Ready "
                        "elsewhere",
                        deployment.place(), why));
        co_return false;
      }
      bool written = co_await restart(deployment);
      if (!written) continue;
      if (!options_.tries) co_await wait(deployment);
      options_.done(deployment);
      co_return true;
    }
    throw failed(
        fmt::format("deployment.apps/{} in namespace {} is changed by somebody else all "
                    "the time; try again",
                    name, ns));
  }

  Task<std::string> refusal(const Workload& deployment) {
    auto why = surge_refusal(deployment.object);
    if (!why.empty()) co_return why;
    auto claim = co_await exclusive_claim(client_, kube::namespace_of(deployment.object),
                                          pod_spec_of(deployment));
    if (claim.empty()) co_return "";
    co_return fmt::format("two of its pods on two nodes cannot both have its volume {}", claim);
  }

  Task<bool> is_ready_here_only(const Workload& deployment) {
    auto all = co_await Neighbourhood::read_around(client_, deployment);
    auto around = all.around(deployment);
    bool here = false;
    for (const auto* pod : around.pods) {
      if (!pod_ready(*pod)) continue;
      if (!options_.nodes.contains(node_of(*pod))) co_return false;
      here = true;
    }
    co_return here;
  }

  // False after a conflict: somebody else changed the object.
  Task<bool> restart(Workload& deployment) {
    if (options_.read_only) co_return true;
    options_.note(fmt::format("restarting {}, whose replacements come first", deployment.place()));
    auto answer = co_await client_.patch(kube::kDeployments, kube::namespace_of(deployment.object),
                                         kube::name_of(deployment.object), kube::PatchType::kMerge,
                                         restart_patch(deployment.object, now_rfc3339()));
    if (answer.conflict()) co_return false;
    deployment.object = kube::body_or_throw(std::move(answer));
    co_return true;
  }

  Task<> wait(const Workload& deployment) {
    auto key = kube::key_of(deployment.object);
    auto uid = kube::uid_of(deployment.object);
    long generation = kube::number_at(deployment.object, "/metadata/generation");
    std::string missing, stuck;
    kube::Tracker::Condition rolled = [&](const kube::Snapshot& snapshot) {
      auto found = snapshot.find(key);
      if (found == snapshot.end() || kube::uid_of(found->second) != uid) return true;
      if (kube::number_at(found->second, "/metadata/generation") < generation) return false;
      missing = rollout_missing(kube::kDeployments, found->second);
      stuck = missing.empty() ? "" : rollout_stuck(found->second);
      if (!missing.empty()) options_.waiting(fmt::format("{}: {}", deployment.place(), missing));
      return missing.empty() || !stuck.empty();
    };
    try {
      co_await tracker_->wait_until(rolled, options_.deadline);
    } catch (const TimedOut&) {
      throw blocked(fmt::format("{} was restarted, but its replacements are not Ready after {}: {}",
                                deployment.place(), options_.timeout_text, missing));
    }
    if (stuck.empty()) co_return;
    throw blocked(fmt::format("{} was restarted, but its replacements do not become Ready: {}",
                              deployment.place(), stuck));
  }

  kube::Client client_;
  SurgeOptions options_;
  std::optional<kube::Tracker> tracker_;
  Surged surged_;
};

}  // namespace

std::string surge_refusal(const Json& deployment) {
  if (kube::flag_at(deployment, "/spec/paused")) return "it is paused";
  if (kube::text_at(deployment, "/spec/strategy/type") == "Recreate") {
    return "its strategy is Recreate";
  }
  long wanted = kube::number_at(deployment, "/spec/replicas", 1);
  if (wanted == 0) return "it is scaled to 0";
  long surge =
      resolved(kube::at(deployment, "/spec/strategy/rollingUpdate/maxSurge"), wanted, true);
  long away =
      resolved(kube::at(deployment, "/spec/strategy/rollingUpdate/maxUnavailable"), wanted, false);
  if (surge == 0) return "its maxSurge is 0";
  if (away >= wanted) return fmt::format("its maxUnavailable comes to all of its {} pods", wanted);
  return "";
}

std::string rollout_stuck(const Json& deployment) {
  long seen = kube::number_at(deployment, "/status/observedGeneration");
  if (seen < kube::number_at(deployment, "/metadata/generation")) return "";  // of a rollout before
  for (const auto& condition : kube::at(deployment, "/status/conditions")) {
    if (kube::text_at(condition, "/type") != "Progressing") continue;
    if (kube::text_at(condition, "/status") != "False") continue;
    if (kube::text_at(condition, "/reason") == "ProgressDeadlineExceeded") {
      return kube::text_at(condition, "/message");
    }
  }
  return "";
}

Task<Surged> surge(kube::Client client, std::vector<Json> pods, SurgeOptions options) {
  Surger surger(std::move(client), std::move(options));
  co_return co_await surger.run(std::move(pods));
}

}  // namespace kcni::cni
