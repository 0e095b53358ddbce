// The command `svc-recreate`: its flags, and one function for each thing that it can be asked for.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/cli/command.h"
#include "common/cni/services_apply.h"
#include "common/cni/services_select.h"

namespace kcni::svc_recreate {

cli::Command svc_recreate_command();

/// Which Services. Throws Error (kUsage).
cni::ServiceSelection selection_from(cli::Context& context);
cni::RecreateOptions options_from(const cli::Context& context);

/// --timeout counts for each step and each Service: one that waits for long must not take the time
/// of the others.
kube::Client bounded_client(cli::Context& context);

/// The selected ones; with --only-broken those that are, each with a line that says why.
std::vector<kube::Json> selected_services(cli::Context& context,
                                          const cni::ServiceSelection& selection);

/// How far a run had come when Ctrl-C ended it: `what` was done to so many of all.
std::string interrupted_after(std::size_t done, std::size_t failed, std::size_t all,
                              const std::string& what);

/// What it does by default: delete and create anew.
void recreate(cli::Context& context);
/// --restore: puts back what an interrupted run left deleted, or what is missing of --backup-dir.
void restore(cli::Context& context);
/// --explain: what is wrong, and the cheapest cure.
void explain(cli::Context& context);
/// --endpoints-only: has EndpointSlices written anew.
void rewrite_endpoints(cli::Context& context);

}  // namespace kcni::svc_recreate
