// The command `cleanup`: reads the cluster over the API, then visits the nodes over ssh.
#pragma once

#include "common/cli/command.h"
#include "common/cni/residue.h"
#include "common/ssh/options.h"

namespace kcni::cleanup {

cli::Command cleanup_command();

/// --ssh-*: how to log in.
void add_ssh_flags(cxxopts::OptionAdder& add);
ssh::Options ssh_options(const cli::Context& context);

/// Where to find each node: --host-map first, then the node's addresses in the order of
/// --address-type. Throws Error (kFailed) naming the node that has none of them.
ssh::Target ssh_target(const cli::Context& context, const kube::Json& node);

/// One node to visit and what is to be done there.
struct Visit {
  std::string node;
  ssh::Target target;
  cni::CleanupRequest request;
};

/// Reads nodes, pods and flannel's configuration, refuses (kRefused) where cleaning would hurt, and
/// returns what is to be done.
Task<std::vector<Visit>> plan_visits(cli::Context& context);

}  // namespace kcni::cleanup
