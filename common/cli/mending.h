// What an interrupted run left deleted comes back before a command does anything else.
#pragma once

#include "common/cli/command.h"

namespace kcni::cli {

/// cni::mend() with what the context says (--key, -n, --dry-run), told to the user: lines on
/// stderr, and an error for each object that could not be put back. The client's deadline bounds
/// it. Who makes no backups in this run need not have the right to look for them.
Task<> mend_and_tell(Context& context, kube::Client client, bool makes_backups = true);

/// The same for a minute at most, for a command that has other things to do: whatever is still
/// being deleted then comes back in a later run.
Task<> mend_in_passing(Context& context, bool makes_backups);

}  // namespace kcni::cli
