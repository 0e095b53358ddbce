// The command `cleanup`: reads the cluster over the API, then visits the nodes.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/cli/command.h"
#include "common/cni/pod_visit.h"
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

/// --only and --skip: which kinds of residue the command is about.
void add_kind_flags(cxxopts::OptionAdder& add);

struct Kinds {
  std::vector<std::string> scripts;  ///< CleanupRequest::kinds
  bool marks = true;                 ///< what flannel wrote on the Node object
  bool links = true;                 ///< which only those marks may tell the VNI of

  bool only_marks() const { return marks && !links && scripts.empty(); }
};
/// Throws Error (kUsage) that names the kinds.
Kinds chosen_kinds(const cli::Context& context);

enum class Via { kSsh, kPod };
/// --via. Throws Error (kUsage).
Via via_from(const cli::Context& context);

/// One node to visit and what is to be done there.
struct Visit {
  std::string node;
  cni::CleanupRequest request;
  ssh::Target target;         ///< by ssh
  cni::PodVisit pod;          ///< by pod
  kube::Json object;          ///< the Node as it was read
  bool flannel_runs = false;  ///< on it
};

/// Reads nodes, pods and flannel's configuration, refuses (kRefused) where cleaning would hurt, and
/// returns what is to be done.
Task<std::vector<Visit>> plan_visits(cli::Context& context, const Kinds& kinds);

/// How a visit ended; a thrown Error is kept, since it concerns one node of many.
struct Outcome {
  cni::CleanupReport report;
  std::optional<Error> error;
  bool begun = true;  ///< else it was interrupted before
};

/// Makes the visits, several at a time, and calls `told` in this thread as each one has ended, with
/// what was on the Node object counted in. ssh: for visits by ssh.
void make_visits(cli::Context& context, const std::vector<Visit>& visits, ssh::Options ssh,
                 const Kinds& kinds, const std::function<void(const Visit&, const Outcome&)>& told);

/// The result lines of one node.
void tell(cli::Context& context, const Visit& visit, const Outcome& outcome);

/// What the visits came to, by the nodes' names.
struct Tally {
  std::size_t fine = 0;
  std::vector<std::string> bad, interrupted, not_begun;
};
/// "summary: 3 of 50 nodes are fine, not so w4; not visited: w5, w6, and 40 more"
std::string summary_of(const Tally& tally);

}  // namespace kcni::cleanup
