// The command `evict`.
#pragma once

#include "common/cli/command.h"
#include "common/cni/eviction_plan.h"
#include "common/cni/pod_tracker.h"

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
  PodMover(cli::Context& context, const Options& options, cni::PodTracker& tracker)
      : context_(context), client_(context.client()), options_(options), tracker_(tracker) {}

  /// Throws Error: kBlocked when the deadline passes, with the budget that blocks.
  Task<> move(cni::PodPlan plan);

 private:
  Task<> evict(const kube::Json& pod);
  Task<> persuade(const kube::Json& pod);
  Task<> recreate(const kube::Json& pod);
  Task<> bring_back(const kube::Json& pod);
  Task<> restart(const kube::Json& pod);
  Task<> wait_until_gone(const kube::Json& pod, http::OnInterrupt on_interrupt);
  Task<kube::Answer> ask_to_leave(const kube::Json& pod);
  Task<bool> refused_for_now(const kube::Json& pod, const kube::Answer& answer,
                             Clock::time_point& next_notice);
  void print(const kube::Json& pod, const std::string& what);

  cli::Context& context_;
  kube::Client client_;
  const Options& options_;
  cni::PodTracker& tracker_;
  std::map<std::string, std::string> blocked_by_;  ///< pod key → the server's words
};

}  // namespace kcni::evict
