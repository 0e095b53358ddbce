// Why a pod that is being deleted does not go.
#pragma once

#include <string>

#include "common/kube/client.h"

namespace kcni::cni {

/// In words, for a pod with a deletionTimestamp: finalizers, a node whose kubelet does not answer
/// or that is gone (null), or containers that have not ended. A pure function of the objects as
/// read.
std::string stuck_reason(const kube::Json& pod, const kube::Json& node);

/// Reads both; "" when the pod has gone meanwhile, or when there is no right to read. Throws as
/// Client::get().
Task<std::string> read_stuck_reason(kube::Client client, kube::Json pod);

}  // namespace kcni::cni
