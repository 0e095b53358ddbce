// What is done for a Service before it is deleted: checks, and the backup.
#pragma once

#include <cstddef>
#include <string>

#include "common/cni/backup.h"
#include "common/kube/client.h"

namespace kcni::cni {

/// Why a Service is left alone that is not there any more.
constexpr const char* kGoneBefore = "somebody else deleted it meanwhile";

/// A backup, and how many addresses were ready when it was made.
struct Prepared {
  Backup backup;
  std::size_t ready = 0;
};

/// All that can be done before a Service is touched: the server says whether it would take it
/// again, and all that goes with it; then it is backed up in the cluster and, unless backup_dir is
/// "", in a file. A dry run backs nothing up. Throws Error that names the Service: it is left
/// alone.
Task<Prepared> prepare_service(kube::Client client, std::string backup_dir, kube::Json service);

}  // namespace kcni::cni
