// Whether a workload's rollout is complete, as `kubectl rollout status` sees it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/cni/workloads.h"

namespace kcni::cni {

/// What is missing until every pod is of the newest template and available, in words; "" when
/// nothing is, or when nothing will roll by itself (paused, OnDelete, kinds that do not roll).
/// The rules: kubectl/pkg/polymorphichelpers/rollout_status.go.
std::string rollout_missing(const kube::Resource& resource, const kube::Json& object);

/// What `kubectl rollout restart` patches, and the resourceVersion of what was looked at. now: as
/// now_rfc3339() has it.
kube::Json restart_patch(const kube::Json& workload, const std::string& now);

/// Watches until the rollouts of all these are complete; one that is deleted meanwhile counts as
/// complete. progress gets a line about all of them whenever what is missing changes. Throws
/// TimedOut that names workloads and what they wait for.
Task<> wait_for_rollouts(kube::Client client, std::vector<Workload> workloads,
                         std::function<void(const std::string&)> progress);

}  // namespace kcni::cni
