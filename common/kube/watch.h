// Waiting for the cluster: list once, then watch. The only way in which this suite waits.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "common/kube/client.h"

namespace kcni::kube {

/// The objects of a Query as last seen, by "namespace/name".
using Snapshot = std::map<std::string, Json>;

/// Called first with the whole list and then after each batch of changes; true ends the watch.
using Until = std::function<bool(const Snapshot&)>;

/// Lists, calls until(), and goes on watching until it returns true. A dropped connection is
/// resumed at the last resourceVersion (bookmarks keep that fresh), an expired one (410) relisted,
/// so until() may miss states between two looks but never the last one. Throws TimedOut (when the
/// client's deadline passes), ApiError, Interrupted; what until() throws.
Task<> list_then_watch(Client client, Query query, Until until);

}  // namespace kcni::kube
