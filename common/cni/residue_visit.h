// A visit to a node: the residue script over a session.
#pragma once

#include <functional>

#include "common/base/deadline.h"
#include "common/cni/residue.h"
#include "common/ssh/session.h"

namespace kcni::cni {

/// Runs the script once and returns its report. What could not be removed is in the report; an
/// Error is thrown when the script did not come to its end (not run, killed, cut off), with its
/// last words. A kWaitConf request asks again until the deadline, request.wait seconds on the node
/// each time (at least 1, at most 20, lest an abandoned wait lives on there), then TimedOut names
/// what is in the way. on_step hears how far the script is.
CleanupReport visit(ssh::Session& session, CleanupRequest request, Deadline deadline,
                    const std::function<void(const CleanupStep&)>& on_step = {});

/// How long one call of the script waits on the node: `wanted` (0: `most`), until the deadline at
/// the most.
std::chrono::seconds wait_slice(Deadline deadline, std::chrono::seconds wanted,
                                std::chrono::seconds most);

}  // namespace kcni::cni
