// What an interrupted run left deleted comes back before a command does anything else.
#pragma once

#include "common/cli/command.h"

namespace kcni::cli {

/// cni::mend() with what the context says (--key, -n, --dry-run), told to the user: lines on
/// stderr, and an error for each object that could not be put back. The client's deadline bounds
/// it. Who makes no backups in this run need not have the right to look for them.
Task<> mend_and_tell(Context& context, kube::Client client, bool makes_backups = true);

}  // namespace kcni::cli
