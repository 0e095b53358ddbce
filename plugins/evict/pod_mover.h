// One pod's way off its node.
#pragma once

#include "common/cni/evictor.h"
#include "plugins/evict/evict.h"

namespace kcni::evict {

/// Moves one pod off its node, or restarts it, and returns when it is done. It is told what became
/// of it by the tracker of its node, which outlives it, as do the options.
class PodMover {
 public:
  /// tell: lines of progress.
  PodMover(cli::Context& context, const Options& options, kube::Tracker& tracker,
           std::function<void(const std::string&)> tell);

  /// The plan outlives it. Returns the pod that was made anew in its place, or null. Throws Error:
  /// kBlocked when the deadline passes, with the budget that blocks.
  Task<kube::Json> move(const cni::PodPlan& plan);

 private:
  cni::EvictorOptions evictor_options();
  /// By UID; fine when it has gone.
  Task<> remove(const kube::Json& pod);
  Task<> restart(const kube::Json& pod);
  Task<bool> is_replaced(const kube::Json& pod, Milliseconds limit);
  Task<bool> comes_again(const kube::Json& pod);
  void print(const kube::Json& pod, const std::string& what);
  bool only_tries() const { return context_.dry_run() != cli::DryRun::kNone; }

  cli::Context& context_;
  kube::Client client_;
  const Options& options_;
  kube::Tracker& tracker_;
  std::function<void(const std::string&)> tell_;
  cni::Evictor evictor_;
};

}  // namespace kcni::evict
