// Recreating Services: back up, delete, create, verify, for many at a time.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/cni/create_anew.h"
#include "common/cni/services_recreate.h"
#include "common/kube/client.h"

namespace kcni::cni {

struct RecreateOptions {
  ServiceConsent consent;
  std::string backup_dir;  ///< "": in the cluster only
  int concurrency = 8;
  Milliseconds timeout{0};  ///< for each Service; 0: none
  Notice notice;            ///< may be empty
};

struct Recreated {
  kube::Json service;            ///< the new one
  Milliseconds absent{0};        ///< from the delete's answer to the create's
  std::size_t ready_before = 0;  ///< addresses among its endpoints
  std::string old_uid;
  std::string backup_kept;  ///< "", or why its backup is still there, for a message
};

/// Told of each Service as it is done; a failure concerns that one only.
struct RecreateObserver {
  std::function<void(const Recreated&)> done;
  std::function<void(const Error&)> failed;
};

/// Recreates one Service as it was planned; if it was changed since, as it is now. Ctrl-C does not
/// break in between the delete and the last step. Throws Error: nothing was changed, or the message
/// says that the Service is deleted and where its backup is. With a client that only tries (dry
/// run) the server checks delete and create, and nothing changes.
Task<Recreated> recreate_service(kube::Client client, RecreateOptions options, kube::Json service);

/// Recreates them all, some at a time; after one is told to be done, its endpoints are waited for.
/// Throws Interrupted after those under way are done.
Task<> recreate_services(kube::Client client, RecreateOptions options,
                         std::vector<kube::Json> services, RecreateObserver observer);

}  // namespace kcni::cni
