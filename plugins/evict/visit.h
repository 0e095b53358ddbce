// One node's turn: its pods leave, and what follows.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "common/cni/flannel_network.h"
#include "common/cni/replacements.h"
#include "common/cni/surge.h"
#include "plugins/evict/cordon.h"
#include "plugins/evict/pod_mover.h"

namespace kcni::evict {

/// What becomes of a pod; network matters to --recycle only.
cni::PodPlan plan_pod(const kube::Json& pod, const Options& options,
                      const cni::FlannelNetwork& network);

class Visit {
 public:
  /// surged: pods that shall stay although they should go, or, in a dry run, that a surge would
  /// move. Everything outlives it.
  Visit(cli::Context& context, const Options& options, const cni::FlannelNetwork& network,
        const cni::Surged& surged, Target& target)
      : context_(context),
        client_(context.client()),
        options_(options),
        network_(network),
        surged_(surged),
        target_(target) {}

  /// Empties the node, which is cordoned. Throws Error that says which pods are left, and that the
  /// node stays cordoned.
  Task<> run();

 private:
  Task<> empty(kube::Tracker& tracker);
  Task<std::vector<cni::PodPlan>> plans_now(kube::Tracker& tracker);
  Task<> move_all(std::vector<cni::PodPlan> plans, kube::Tracker& tracker);
  Task<> move_or_report(PodMover& mover, cni::PodPlan plan, std::vector<std::string>& left);
  Task<> wait_for_replacements();
  bool take_movable(std::vector<cni::PodPlan>& plans, int round) const;
  void tell_ignored(const std::vector<cni::PodPlan>& plans);
  void tell(const std::string& line);
  void tell_of_next();
  std::string state(const char* word) const;
  Error failed_or_blocked(const std::string& message) const;

  cli::Context& context_;
  kube::Client client_;
  const Options& options_;
  const cni::FlannelNetwork& network_;
  const cni::Surged& surged_;
  Target& target_;
  cni::Owners owners_;
  std::size_t moved_ = 0, to_move_ = 0;
  std::set<std::string> on_their_way_;  ///< pods, namespace/name
};

}  // namespace kcni::evict
