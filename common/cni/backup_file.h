// A second backup, in a file on the operator's machine.
#pragma once

#include <string>
#include <vector>

#include "common/cni/backup.h"

namespace kcni::cni {

/// Writes "NAMESPACE.KIND.NAME.json", readable by its owner only, into the directory (made when it
/// is not there): a List that `kubectl create -f` takes as it is. Returns the path once file and
/// directory are on disk. Throws Error (kFailed).
std::string write_backup_file(const std::string& directory, const Backup& backup,
                              const kube::Json& recreatable);

/// The Services that write_backup_file() has kept in this directory, by name of their files;
/// without a Secret, and with the UID that the old Service had only as far as a companion tells it.
/// Throws Error (kFailed) that names the file that cannot be read or is no such backup.
std::vector<Backup> read_backup_files(const std::string& directory);

}  // namespace kcni::cni
