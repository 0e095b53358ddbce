// A visit to a node: the residue script over a session.
#pragma once

#include "common/base/deadline.h"
#include "common/cni/residue.h"
#include "common/ssh/session.h"

namespace kcni::cni {

/// Runs the script once and returns its report. What could not be removed is in the report; an
/// Error is thrown when the script did not come to its end (not run, killed, cut off), with its
/// last words. A kWaitConf request asks again until the deadline, request.wait seconds on the node
/// each time (at least 1, at most 20, lest an abandoned wait lives on there), then TimedOut names
/// what is in the way.
CleanupReport visit(ssh::Session& session, CleanupRequest request, Deadline deadline);

}  // namespace kcni::cni
