// A visit to a node where nobody can log in: the residue script in a short-lived pod.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/cni/residue.h"
#include "common/kube/client.h"

namespace kcni::cni {

struct PodVisit {
  std::string node;
  std::string ns;
  std::string image;  ///< needs sh and nsenter; never pulled when the node has it
  kube::Json pull_secrets = kube::Json::array();  ///< imagePullSecrets of the pod
};

/// The Job that makes this visit: one privileged pod in the node's own network and process
/// namespaces, whatever the node's taints, that feeds the script to a shell among the node's own
/// files. Its name is one that nobody else has. A Job and not a bare Pod, because the cluster ends
/// it (activeDeadlineSeconds, soon after the deadline) and takes it away (ttlSecondsAfterFinished)
/// when we cannot any more.
kube::Json cleanup_job(const PodVisit& where, const CleanupRequest& request, Deadline deadline);

/// Runs the script once (kWaitConf: again and again until the deadline) and returns its report, as
/// visit() does. The Job is deleted in any case, after Ctrl-C too. `tell` hears what is waited for.
/// Throws Error that begins "node/w1: ": the pod is not admitted, its image is not to be had, it
/// did not come to its end; TimedOut.
Task<CleanupReport> visit_by_pod(kube::Client client, PodVisit where, CleanupRequest request,
                                 Deadline deadline, std::function<void(const std::string&)> tell);

/// An image that the node has already and that has what is needed, of these; else the first.
std::string image_on(const kube::Json& node, const std::vector<std::string>& images);

}  // namespace kcni::cni
