// What an interrupted run left deleted comes back before a command does anything else.
#pragma once

#include "common/cli/command.h"
#include "common/cni/backup.h"

namespace kcni::cli {

/// cni::mend() with what the context says (--key, -n, --dry-run), told to the user: lines on
/// stderr, and an error for each object that could not be put back. The client's deadline bounds
/// it. For a command that is about Services: one that is still being deleted is waited for. Who
/// only looks is told what would be put back.
Task<> mend_services_first(Context& context, kube::Client client, bool only_looks = false);

/// The same for a command that is about nothing else: what was put back is in the result, told by
/// the caller; what could only be warned of, or is still being deleted, is an error.
Task<cni::MendReport> mend_only(Context& context, kube::Client client);

/// As mend_services_first() within a minute, and a few seconds for what is still being deleted, for
/// a command that has other things to do. False when something is still being deleted, which was
/// said. Who makes no backups in this run need not have the right to look for them.
Task<bool> mend_in_passing(Context& context, bool makes_backups);

/// Once more for who was told false and has done what he could about those pods, even if that took
/// all of his time: what is still being deleted is an error now.
Task<> mend_at_last(Context& context, bool makes_backups);

}  // namespace kcni::cli
