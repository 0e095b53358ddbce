// A second backup, in a file on the operator's machine.
#pragma once

#include <string>

#include "common/cni/backup.h"

namespace kcni::cni {

/// Writes "NAMESPACE.KIND.NAME.json", readable by its owner only, into the directory (made when it
/// is not there): a List that `kubectl create -f` takes as it is. Returns the path once file and
/// directory are on disk. Throws Error (kFailed).
std::string write_backup_file(const std::string& directory, const Backup& backup,
                              const kube::Json& recreatable);

}  // namespace kcni::cni
