// Flags that more than one of our commands has, beyond kubectl's.
#pragma once

#include "common/cli/command.h"
#include "common/cni/cni_daemonsets.h"
#include "common/cni/nodes.h"

namespace kcni::cli {

/// -l, --all
void add_selection_flags(cxxopts::OptionAdder& add);
/// --flannel-daemonset, --cilium-daemonset
void add_daemonset_flags(cxxopts::OptionAdder& add);

/// Names, -l or --all: exactly one. Throws Error (kUsage).
cni::NodeSelection node_selection(const Context& context);
cni::NamedDaemonSets named_daemonsets(const Context& context);

}  // namespace kcni::cli
