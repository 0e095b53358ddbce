// Plans workloads and pins each in its way.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/cni/neighbourhood.h"
#include "plugins/pin/in_place.h"
#include "plugins/pin/pin.h"

namespace kcni::pin {

class Pinner {
 public:
  Pinner(cli::Context& context, const Scope& scope);

  /// Each workload's object is as the server has it afterwards. Failures are report()ed.
  Task<> pin_all(std::vector<cni::Workload>& workloads);

  /// Says what of that was not so: a pod that went, a pin that was put back, a rollout after all.
  /// Waits as long as whoever looks after the objects may need.
  Task<> look_again();

  Trackers& trackers() { return trackers_; }
  /// It was changed, by this run.
  bool wrote(const cni::Workload& workload) const;
  std::string summary() const;
  /// Some were left with updateStrategy OnDelete, for their pods' sake.
  bool holds_strategies() const;

 private:
  struct Step {
    cni::PinChange change;
    cni::PinDecision decision;
    bool resume = false;  ///< the template is as wished, but something is still to be put back
    bool writes() const { return resume || change.writes(); }
  };
  struct Pinned {
    cni::Workload workload;
    cni::PinWay way;
    std::vector<std::string> pods;  ///< their UIDs and names before, "UID NAME"
    std::vector<std::string> replica_sets;
  };
  using Group = std::vector<std::pair<cni::Workload*, Step>>;

  Step plan(const cni::Workload& workload, const cni::Neighbourhood& here) const;
  void show_diff(const std::vector<Group*>& groups);
  void refuse_without_a_node(const cni::Neighbourhood& here) const;
  Task<> run_group(Group& group, std::size_t at_once, const cni::Neighbourhood& here);
  Task<> pin_or_report(cni::Workload& workload, Step step, const cni::Neighbourhood& here);
  Task<> pin(cni::Workload& workload, Step step, const cni::Neighbourhood& here);
  Task<bool> write(cni::Workload& workload, const Step& step, const cni::Surroundings& around);
  Task<bool> write_template(cni::Workload& workload);
  Task<> wait_for_its_rollout(const cni::Workload& workload);
  Task<> look_for_rollouts(const Pinned& one, const cni::Neighbourhood& now);
  Task<> look_for_restored(const Pinned& one);
  void say(const cni::Workload& workload, const Step& step, cni::PinWay way);
  static Pinned record_of(const cni::Workload& workload, cni::PinWay way,
                          const cni::Surroundings& around);

  cli::Context& context_;
  kube::Client client_;
  const cni::PinWish& wish_;
  std::string ns_;
  Trackers trackers_;
  InPlace in_place_;
  std::size_t most_rollouts_;
  std::vector<Pinned> pinned_;
  std::map<std::string, int> counts_;
};

}  // namespace kcni::pin
