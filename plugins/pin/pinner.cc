#include "plugins/pin/pinner.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/bounded.h"
#include "common/base/text.h"
#include "common/cli/diff.h"
#include "common/cni/managed.h"
#include "common/cni/pods.h"
#include "common/cni/rollout.h"
#include "common/cni/scheduling.h"

namespace kcni::pin {

using cni::Neighbourhood;
using cni::PinChange;
using cni::PinWay;
using cni::Surroundings;
using cni::Workload;
using kube::Json;
using Kind = PinChange::Kind;

namespace {

constexpr int kMaxReplans = 10;
// So many Deployments may be paused at a moment: what a crash would leave behind.
constexpr std::size_t kInPlaceAtOnce = 16;

// Trap 21: a CNI that is pinned before the nodes are labelled leaves every node at once.
void refuse_if_nodes_lose_it(const Workload& workload, const cni::PinWish& wish,
                             const Surroundings& around) {
  Json spec = cni::pod_spec_of(workload);
  spec["nodeSelector"][wish.key] = *wish.value;
  std::vector<std::string> losers;
  for (const auto* node : around.nodes) {
    bool runs = std::any_of(around.pods.begin(), around.pods.end(), [&](const Json* pod) {
      return cni::node_of(*pod) == kube::name_of(*node);
    });
    if (runs && !cni::may_run_on(spec, *node)) losers.push_back("node/" + kube::name_of(*node));
  }
  if (losers.empty()) return;
  throw refused(fmt::format(
      "pinning {} to {}={} would take it from {} at once; label the nodes first with 'kubectl cni "
      "label --all --to {}', or say --force",
      workload.place(), wish.key, *wish.value, some_of(losers), *wish.value));
}

const char* in_words(PinWay way) {
  switch (way) {
    case PinWay::kInPlace:
      return "in place";
    case PinWay::kRollout:
      return "rolling";
    case PinWay::kTemplate:
      break;
  }
  return "";
}

}  // namespace

Pinner::Pinner(cli::Context& context, const Scope& scope)
    : context_(context),
      client_(context.client()),
      wish_(scope.wish),
      ns_(scope.ns),
      trackers_(client_, scope.ns),
      in_place_(context, scope.wish, trackers_),
      most_rollouts_(context.flags().number("max-concurrent-rollouts")) {}

Pinner::Step Pinner::plan(const Workload& workload, const Neighbourhood& here) const {
  Step step;
  step.change = cni::plan_pin(workload, wish_);
  if (step.change.kind == Kind::kRefused) throw refused(step.change.reason);
  if (step.change.kind == Kind::kOutOfScope) return step;
  auto around = here.around(workload);
  step.decision = cni::decide_way(workload, wish_, around);
  if (!step.change.writes()) {
    Json memory = cni::remembered(workload.object);
    // A Deployment is whole at once; the others keep their strategy until their pods have moved.
    bool pinned = wish_.value && step.change.kind == Kind::kUnchanged;
    bool waits = pinned && !memory.contains("paused") && !cni::all_updated(workload);
    step.resume = !memory.is_null() && !waits;
    // A run that was killed as its last act was to take the note off the ReplicaSet.
    const Json* live = cni::only_live_replica_set(around);
    bool noted = live && (cni::has_note(*live) || cni::has_note(workload.object));
    if (memory.is_null() && noted && cni::all_updated(workload)) {
      step.resume = true;
      step.decision = {};
      step.decision.way = PinWay::kInPlace;
    }
    return step;
  }
  if (wish_.force) return step;
  if (wish_.value && cni::is_the_cni(workload, wish_)) {
    refuse_if_nodes_lose_it(workload, wish_, around);
  }
  auto unfit = cni::no_node_fits(workload, wish_, around);
  if (!unfit.empty()) throw refused(unfit);
  return step;
}

void Pinner::refuse_without_a_node(const Neighbourhood& here) const {
  if (!wish_.value || wish_.force || here.any_node_has(wish_.key, *wish_.value)) return;
  auto why = fmt::format(
      "no node is labelled {0}={1}: pods would wait for one for ever; label nodes first with "
      "'kubectl cni label NODE... --to {1}', or say --force",
      wish_.key, *wish_.value);
  if (context_.dry_run() == cli::DryRun::kNone) throw refused(why);
  context_.warn(why);
}

Task<> Pinner::pin_all(std::vector<Workload>& workloads) {
  auto here = co_await Neighbourhood::read(client_, ns_);
  Group direct, in_place, rollouts, settling;
  bool waits = context_.flags().flag("wait");
  bool writes = false;
  std::vector<std::pair<Workload*, Step>> others;
  for (auto& workload : workloads) {
    try {
      Step step = plan(workload, here);
      writes |= step.change.writes();
      auto way = step.decision.way;
      bool settles = waits && step.writes() && step.decision.may_settle;
      auto& group = !step.writes()            ? others
                    : settles                 ? settling
                    : way == PinWay::kInPlace ? in_place
                    : way == PinWay::kRollout ? rollouts
                                              : direct;
      group.emplace_back(&workload, std::move(step));
    } catch (const Error& error) {
      ++counts_["refused"];
      context_.report(error);
    }
  }
  if (writes) refuse_without_a_node(here);
  if (context_.flags().flag("diff")) show_diff({&direct, &in_place, &settling, &rollouts});
  for (auto& [workload, step] : others) say(*workload, step, PinWay::kTemplate);
  std::vector<Task<>> groups;
  groups.push_back(run_group(direct, 0, here));
  groups.push_back(run_group(in_place, kInPlaceAtOnce, here));
  groups.push_back(
      run_group(settling, 0, here));  // most of their time they wait for others' rollouts
  groups.push_back(run_group(rollouts, most_rollouts_, here));
  co_await all(std::move(groups));
}

// A Deployment's pause is over when we are, so it is not shown.
void Pinner::show_diff(const std::vector<Group*>& groups) {
  cli::Diff diff;
  for (const auto* group : groups) {
    for (const auto& [workload, step] : *group) {
      bool keeps = step.decision.way == PinWay::kInPlace &&
                   workload->resource != &kube::kDeployments && wish_.value;
      Json patch = step.resume ? cni::put_back_patch(workload->object)
                   : keeps     ? cni::in_place_patch(*workload, wish_)
                               : cni::rollout_patch(*workload, wish_);
      diff.add(cli::diff_name(workload->object, workload->resource->api_version(),
                              workload->resource->kind),
               workload->object, patch);
    }
  }
  context_.out() << diff.text() << std::flush;
}

Task<> Pinner::run_group(Group& group, std::size_t at_once, const Neighbourhood& here) {
  std::function<Task<>(std::size_t)> make = [&](std::size_t i) {
    return pin_or_report(*group[i].first, group[i].second, here);
  };
  co_await at_most(at_once, group.size(), make);
}

Task<> Pinner::pin_or_report(Workload& workload, Step step, const Neighbourhood& here) {
  try {
    co_await pin(workload, std::move(step), here);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    ++counts_[error.status() == ExitStatus::kRefused ? "refused" : "failed"];
    context_.report(error);
  }
}

Task<> Pinner::pin(Workload& workload, Step step, const Neighbourhood& here) {
  auto around = here.around(workload);
  bool written = false;
  if (step.decision.refusal.empty()) written = co_await write(workload, step, around);
  bool only_tried = context_.dry_run() != cli::DryRun::kNone;
  if (step.decision.unobserved && only_tried) written = co_await write(workload, step, around);
  for (int attempt = 0; !written; ++attempt) {
    if (attempt >= kMaxReplans) {
      throw failed(workload.place() + " is changed by somebody else all the time; try again");
    }
    if (step.decision.unobserved) {
      co_await in_place_.wait_seen(workload);
    } else if (!step.decision.refusal.empty()) {
      const auto& why = step.decision.refusal;
      bool wait = context_.flags().flag("wait") && context_.dry_run() == cli::DryRun::kNone;
      if (!step.decision.may_settle || !wait) {
        throw refused(
            fmt::format("{} cannot be pinned in place: {}; {}say --rollout to restart "
                        "its pods",
                        workload.place(), why,
                        step.decision.may_settle ? "wait for it (--wait does), or " : ""));
      }
      co_await in_place_.wait_settled(workload, why);
    } else {
      auto again = co_await client_.get(*workload.resource, kube::namespace_of(workload.object),
                                        kube::name_of(workload.object));
      workload.object = kube::body_or_throw(std::move(again));
    }
    auto now = co_await Neighbourhood::read_around(client_, workload);
    step = plan(workload, now);
    if (!step.writes()) {
      say(workload, step, PinWay::kTemplate);
      co_return;
    }
    auto its = now.around(workload);
    if (step.decision.refusal.empty()) written = co_await write(workload, step, its);
  }
}

// False after a conflict: somebody else changed the object.
Task<bool> Pinner::write(Workload& workload, const Step& step, const Surroundings& around) {
  auto way = step.decision.way;
  if (context_.dry_run() == cli::DryRun::kClient) {
    if (step.change.writes()) workload.object.merge_patch(cni::rollout_patch(workload, wish_));
    say(workload, step, way);
    co_return true;
  }
  // What is begun is brought to its end whatever comes, so nothing more is begun.
  if (context_.loop().interrupted()) throw Interrupted();
  if (context_.deadline().passed()) {
    throw TimedOut(
        fmt::format("{} was not begun within {}", workload.place(), context_.timeout_text()));
  }
  if (step.resume && context_.dry_run() == cli::DryRun::kServer) {
    say(workload, step, way);
    co_return true;
  }
  Pinned record = record_of(workload, way, around);
  bool written = true;
  bool at_rest = workload.resource == &kube::kDeployments || way == PinWay::kInPlace;
  if (step.resume && at_rest) {
    co_await in_place_.finish(workload);
  } else if (step.resume) {
    co_await in_place_.put_back(workload);
  } else if (way == PinWay::kInPlace) {
    written = co_await in_place_.pin(workload);
  } else {
    written = co_await write_template(workload);
  }
  if (!written) co_return false;
  if (context_.dry_run() == cli::DryRun::kNone && cni::plan_pin(workload, wish_).writes()) {
    throw failed(workload.place() + " was changed back by somebody else meanwhile");
  }
  if (step.resume && workload.resource == &kube::kDeployments) way = record.way = PinWay::kInPlace;
  if (in_place_.rolls_after_all(workload)) way = record.way = PinWay::kRollout;
  record.workload = workload;
  pinned_.push_back(std::move(record));
  say(workload, step, way);
  if (way == PinWay::kRollout && most_rollouts_ > 0) co_await wait_for_its_rollout(workload);
  co_return true;
}

Task<bool> Pinner::write_template(Workload& workload) {
  Json patch = cni::rollout_patch(workload, wish_);
  auto answer =
      co_await client_.patch(*workload.resource, kube::namespace_of(workload.object),
                             kube::name_of(workload.object), kube::PatchType::kMerge, patch);
  if (answer.conflict()) co_return false;
  workload.object = kube::body_or_throw(std::move(answer));
  co_return true;
}

Task<> Pinner::wait_for_its_rollout(const Workload& workload) {
  if (context_.dry_run() != cli::DryRun::kNone) co_return;
  auto key = kube::key_of(workload.object);
  long generation = kube::number_at(workload.object, "/metadata/generation");
  std::string missing;
  kube::Tracker::Condition condition = [&](const kube::Snapshot& snapshot) {
    auto found = snapshot.find(key);
    if (found == snapshot.end()) return true;
    if (kube::number_at(found->second, "/metadata/generation") < generation) return false;
    missing = cni::rollout_missing(*workload.resource, found->second);
    return missing.empty();
  };
  try {
    co_await trackers_.of(*workload.resource).wait_until(condition, context_.deadline());
  } catch (const TimedOut&) {
    throw blocked(
        fmt::format("timed out waiting for the rollout of {}: {}", workload.place(), missing));
  }
}

Pinner::Pinned Pinner::record_of(const Workload& workload, PinWay way, const Surroundings& around) {
  Pinned one{workload, way, {}, {}};
  for (const auto* pod : around.pods) {
    one.pods.push_back(kube::uid_of(*pod) + " " + kube::name_of(*pod));
  }
  for (const auto* set : around.replica_sets) one.replica_sets.push_back(kube::uid_of(*set));
  return one;
}

void Pinner::say(const Workload& workload, const Step& step, PinWay way) {
  std::string what = "unchanged", detail;
  if (step.change.kind == Kind::kOutOfScope) return;
  if (step.change.kind == Kind::kSkipped) {
    context_.warn(step.change.reason);
    ++counts_["skipped"];
    if (!step.resume) return;
    what = "put back as it was";
  } else if (step.writes()) {
    if (!step.decision.idle.empty()) {
      context_.warn(fmt::format("{}: {}", workload.place(), step.decision.idle));
    }
    what = wish_.value ? "pinned" : "unpinned";
    if (wish_.value) detail = wish_.key + "=" + *wish_.value;
    std::string how = step.decision.idle.empty() ? in_words(way) : "";
    if (!how.empty()) detail += (detail.empty() ? "" : ", ") + how;
    ++counts_[how.empty() ? what : what + " " + (way == PinWay::kRollout ? "by rollout" : how)];
    auto manager = cni::manager_of(workload.object);
    if (!manager.name.empty()) {
      context_.warn(
          fmt::format("{} belongs to {}, which may put this back", workload.place(), manager.name));
    }
  } else {
    ++counts_[what];
  }
  context_.results().done(*workload.resource, kube::namespace_of(workload.object),
                          kube::name_of(workload.object), what, detail, workload.object);
}

bool Pinner::wrote(const Workload& workload) const {
  return std::any_of(pinned_.begin(), pinned_.end(), [&](const Pinned& one) {
    return kube::uid_of(one.workload.object) == kube::uid_of(workload.object);
  });
}

bool Pinner::holds_strategies() const {
  return std::any_of(pinned_.begin(), pinned_.end(), [](const Pinned& one) {
    return !cni::remembered(one.workload.object).is_null();
  });
}

std::string Pinner::summary() const {
  std::vector<std::string> parts;
  int total = 0;
  for (const auto& [what, count] : counts_) {
    parts.push_back(fmt::format("{} {}", count, what));
    total += count;
  }
  return total > 1 ? "summary: " + join(parts, ", ") : "";
}

}  // namespace kcni::pin
