// The command `pin`: which objects, then plan, apply, wait, look again; or the manifest filter.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "common/cli/command.h"
#include "common/cni/in_place.h"

namespace kcni::pin {

cli::Command pin_command();

/// The workloads that the flags and arguments speak of, and how to treat them.
struct Scope {
  std::vector<cni::Workload> workloads;
  cni::PinWish wish;
  std::string ns;      ///< where their pods are; "": anywhere
  bool whole = false;  ///< neither names, nor --cni, nor -l: whatever is there
};

/// Reads what is to be pinned. Throws Error (kUsage) for arguments that do not fit together,
/// ApiError for an unknown name.
Task<Scope> read_scope(cli::Context& context);
/// The workloads of a whole scope, as they are now.
Task<std::vector<cni::Workload>> read_all(cli::Context& context);

/// One namespace when -n was given without -A; then even an excluded one is meant.
bool in_one_namespace(cli::Context& context);

/// kube-system belongs to the cluster, kube-flannel to the CNI: never in "all workloads".
bool excluded_by_default(const std::string& ns);

/// Plans and patches each; reports refusals and failures; waits if --wait; looks again at the end.
Task<> apply(cli::Context& context, Scope scope);

/// Bare, scheduling-gated and standalone ReplicaSets' pods: pinned, evicted or named, as the flags
/// say. Afterwards, for it needs the templates to be pinned.
Task<> treat_pods(cli::Context& context, const Scope& scope);

/// -f: writes the manifest with the pin to stdout. Needs no server.
void filter_manifest(cli::Context& context);

}  // namespace kcni::pin
