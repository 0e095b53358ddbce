// The command `evict`.
#pragma once

#include "common/cli/command.h"
#include "common/cni/eviction_plan.h"
#include "common/cni/evictor.h"

namespace kcni::evict {

cli::Command evict_command();

struct Options {
  cni::EvictionRules rules;
  bool recycle = false;
  bool disable_eviction = false;
  std::optional<long> grace_period;
  std::string pod_selector;
  std::string key;
};

/// Moves one pod off its node, or restarts it, and returns when it is done. It is told what became
/// of it by the tracker of its node, which outlives it.
class PodMover {
 public:
  PodMover(cli::Context& context, const Options& options, kube::Tracker& tracker);

  /// Throws Error: kBlocked when the deadline passes, with the budget that blocks.
  Task<> move(cni::PodPlan plan);

 private:
  cni::EvictorOptions evictor_options();
  Task<> restart(const kube::Json& pod);
  void print(const kube::Json& pod, const std::string& what);

  cli::Context& context_;
  kube::Client client_;
  const Options& options_;
  kube::Tracker& tracker_;
  cni::Evictor evictor_;
};

}  // namespace kcni::evict
