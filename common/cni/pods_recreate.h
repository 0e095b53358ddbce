// Making a bare Pod anew: what of it goes into the new one. Pure functions.
#pragma once

#include <string>

#include "common/kube/json.h"

namespace kcni::cni {

/// The pod to create in place of this one: name, labels, annotations, owners and spec, less what
/// the server, the scheduler and admission set (node, its topology labels, status, priority,
/// ephemeral containers, what the server merged of matchLabelKeys) and less the pin
/// nodeSelector[key], so that the scheduler is free to find it a place.
kube::Json recreatable_pod(const kube::Json& pod, const std::string& key);

/// Its user, not the scheduler, chose the node: it would come back anywhere else as well.
bool node_chosen_by_user(const kube::Json& pod);

/// The first field of the old pod that the new one lacks, or "": identity, placement, and what
/// admission adds to any pod do not count. Either may be as the server has it.
std::string pod_difference(const kube::Json& old_pod, const kube::Json& new_pod,
                           const std::string& key);

inline bool same_pod(const kube::Json& old_pod, const kube::Json& new_pod, const std::string& key) {
  return pod_difference(old_pod, new_pod, key).empty();
}

}  // namespace kcni::cni
