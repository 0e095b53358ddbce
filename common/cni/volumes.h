// What a pod's persistent volumes say about where it can run.
#pragma once

#include <string>
#include <vector>

#include "common/kube/client.h"

namespace kcni::cni {

/// The required node affinity of each bound volume that a pod claims (local volumes and zonal disks
/// have one), in the form of a pod spec for may_run_on(). Unbound claims, and what there is no
/// right to read, say nothing. Throws as Client::get().
Task<std::vector<kube::Json>> volume_affinities(kube::Client client, std::string ns,
                                                kube::Json pod_spec);

/// The first claim that two pods on different nodes cannot have at the same time (ReadWriteOnce,
/// ReadWriteOncePod), or "". Throws as Client::get().
Task<std::string> exclusive_claim(kube::Client client, std::string ns, kube::Json pod_spec);

}  // namespace kcni::cni
