// Backups in the cluster of objects that are deleted to be made anew, and the mending of what an
// interrupted run left deleted.
//
// A backup is a Secret beside the object: written before the delete, dropped once the new object
// was seen on the server. Whoever finds one knows that a run did not come to its end.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/kube/client.h"

namespace kcni::cni {

/// Which Secret a backup is in. UID and resourceVersion make sure that only this very backup is
/// dropped, and not what another run has written there since.
struct BackupRef {
  std::string ns, name, uid, resource_version;
  std::string writer;  ///< a random word of the run that wrote it
  std::string
      replaced_version;         ///< resourceVersion of the one that it replaced, of the same object
  std::string replaced_writer;  ///< and who had written that

  /// Another run may depend on what it replaced.
  bool replaced() const { return !replaced_version.empty(); }
  /// "secret/kubectl-cni-backup-service-web in namespace shop"
  std::string display() const;
};

struct Backup {
  BackupRef secret;
  kube::Json object;                   ///< the object as the server had it, status and all
  std::vector<kube::Json> companions;  ///< what goes with it: a Service's manual Endpoints
};

/// "kubectl-cni-backup-pod-web", shortened with a hash where it would be no valid name.
std::string backup_name(const kube::Resource& resource, const std::string& name);

/// The Secret that keeps an object; a pure function.
kube::Json backup_secret(const kube::Resource& resource, const kube::Json& object,
                         const std::vector<kube::Json>& companions);

/// What such a Secret keeps. Throws Error (kFailed) when it is not what backup_secret() makes: of
/// another namespace, name or kind than the Secret says.
Backup read_backup(const kube::Json& secret);

/// Writes the backup; returns when the server has it. One of the same object (by UID) is replaced.
/// One of another object is all that is left of that: throws Error (kRefused) that names it.
/// Throws ApiError. Resources are compared by address and outlive everything.
Task<BackupRef> save_backup(kube::Client client, const kube::Resource& resource, kube::Json object,
                            std::vector<kube::Json> companions);
Task<BackupRef> save_backup(kube::Client client, const kube::Resource& resource, kube::Json object);

/// Deletes it, labelled or annotated by others or not; fine when it is gone, or when another run
/// has written it again, whose it is then. Throws ApiError.
Task<> drop_backup(kube::Client client, BackupRef backup);

/// The same where the object is there anyway: "" or, for a message, that and why the backup is
/// still there, and how to remove it. Throws Interrupted.
Task<std::string> drop_or_say(kube::Client client, BackupRef backup);

struct MendOptions {
  std::string key;            ///< the label key whose pin a recreated pod loses
  std::string ns;             ///< looked into when Secrets of all namespaces may not be listed
  bool dry_run = false;       ///< only tell
  bool makes_backups = true;  ///< this run may: a missing right to look for them is worth a warning
  /// What of this kind is still being deleted is waited for until the client's deadline; other
  /// kinds for a few seconds.
  const kube::Resource* insists_on = nullptr;
  /// Told what is about to be put back; may be empty. Outlives the mending.
  std::function<void(const std::string&)> progress;
};

struct MendReport {
  /// "pod/web recreated from a backup left by an interrupted run"
  std::vector<std::string> mended;
  std::vector<kube::Json> objects;  ///< the same, as they are now; of a dry run as they would be
  /// "endpoints/web of service/web in namespace shop put back": the Service itself was there.
  std::vector<std::string> completed;
  std::vector<std::string> warnings;
  /// Objects that are still being deleted, each with where it is kept: not put back yet.
  std::vector<std::string> open;
  std::vector<Error> errors;  ///< what could not be put back, each with the reason
};

/// Puts back whatever an interrupted run left deleted and drops backups that are not needed:
/// - the object was never deleted, or is back as it was: dropped;
/// - it is gone (or on its way; that is waited for): created anew, then dropped;
/// - another one has its name: kept, with a warning.
/// One backup's trouble does not keep the others from being mended. Throws ApiError, Interrupted.
Task<MendReport> mend(kube::Client client, MendOptions options);

}  // namespace kcni::cni
