#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "common/base/text.h"
#include "common/cli/mending.h"
#include "common/cni/names.h"
#include "common/cni/old_revisions.h"
#include "common/cni/rollout.h"
#include "plugins/pin/pinner.h"

namespace kcni::pin {

using cni::Workload;
using kube::Json;
using Kind = cni::PinChange::Kind;

namespace {

constexpr int kMaxLooks = 5;

// Also those that an earlier, interrupted run had patched are waited for; what was broken before
// the migration is not: it would never come.
std::vector<Workload> those_to_wait_for(cli::Context& context, const Scope& scope,
                                        const Pinner& pinner) {
  std::vector<std::string> broken;
  std::vector<Workload> wanted;
  for (const auto& workload : scope.workloads) {
    bool as_wished = cni::plan_pin(workload, scope.wish).kind == Kind::kUnchanged;
    if (!as_wished && !pinner.wrote(workload)) continue;  // a value that was put back is no pin
    const Json& annotations = kube::at(workload.object, "/metadata/annotations");
    if (annotations.contains(cni::kNotReadyBeforeAnnotation)) {
      broken.push_back(workload.place());
    } else {
      wanted.push_back(workload);
    }
  }
  if (!broken.empty()) {
    context.warn(fmt::format("not waited for, since not ready before the migration either: {}",
                             some_of(broken)));
  }
  return wanted;
}

// What was created between the plan and the writes, by somebody who knew nothing of the pin.
Task<> pin_latecomers(cli::Context& context, Pinner& pinner, Scope& scope) {
  for (int look = 0; look < kMaxLooks; ++look) {
    auto now = co_await read_all(context);
    std::set<std::string> known;
    for (const auto& workload : scope.workloads) known.insert(kube::uid_of(workload.object));
    std::erase_if(now, [&](const Workload& workload) {
      return known.contains(kube::uid_of(workload.object)) ||
             !cni::plan_pin(workload, scope.wish).writes();
    });
    if (now.empty()) co_return;
    co_await pinner.pin_all(now);
    std::move(now.begin(), now.end(), std::back_inserter(scope.workloads));
  }
}

// Trap 22. False after a conflict: its controller may have written a status, or somebody scaled it
// up.
Task<bool> unpin_replica_set(cli::Context& context, const cni::OldReplicaSet& old,
                             const std::string& key) {
  const Json& set = *old.object;
  auto ns = kube::namespace_of(set), name = kube::name_of(set);
  kube::Answer answer;
  if (old.duplicate) {
    kube::DeleteOptions options;
    options.uid = kube::uid_of(set);
    options.resource_version = kube::text_at(set, "/metadata/resourceVersion");
    answer = co_await context.client().remove(kube::kReplicaSets, ns, name, options);
  } else {
    Json patch = cni::unpin_history_patch(set, key);
    answer = co_await context.client().patch(kube::kReplicaSets, ns, name, kube::PatchType::kMerge,
                                             std::move(patch));
  }
  if (answer.conflict()) co_return false;
  if (answer.not_found()) co_return true;
  kube::body_or_throw(std::move(answer));
  context.results().done(
      kube::kReplicaSets, ns, name, old.duplicate ? "deleted" : "unpinned",
      old.duplicate ? "scaled down, the same as another without the pin" : "scaled down");
  co_return true;
}

Task<> unpin_history_of(cli::Context& context, const Workload& deployment, const std::string& key,
                        std::vector<const Json*> sets) {
  std::vector<Json> again;
  try {
    bool whole = false;
    for (int look = 0; !whole && look < kMaxLooks; ++look) {
      whole = true;
      for (const auto& old : cni::pinned_history(deployment.object, sets, key)) {
        bool done = co_await unpin_replica_set(context, old, key);
        whole = whole && done;
      }
      if (whole) break;
      again = co_await cni::read_replica_sets(context.client(), deployment.object);
      sets.clear();
      for (const auto& set : again) sets.push_back(&set);
    }
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    context.report(error);
  }
}

Task<> name_controller_revisions(cli::Context& context, const Scope& scope) {
  kube::Query query;
  query.resource = &kube::kControllerRevisions;
  query.ns = scope.ns;
  auto revisions = co_await context.client().list(query);
  std::set<std::string> unpinned;
  for (const auto& workload : scope.workloads) {
    if (!cni::plan_pin(workload, scope.wish).writes())
      unpinned.insert(kube::uid_of(workload.object));
  }
  std::vector<std::string> names;
  for (const auto& revision : revisions.items) {
    if (!unpinned.contains(kube::text_at(kube::controller_of(revision), "/uid"))) continue;
    if (cni::revision_selects(revision, scope.wish.key)) {
      names.push_back(kube::name_of(revision) + " in namespace " + kube::namespace_of(revision));
    }
  }
  if (names.empty()) co_return;
  context.warn(fmt::format(
      "a 'kubectl rollout undo' would bring the pin back from these ControllerRevisions, which "
      "cannot be changed and go with revisionHistoryLimit: {}",
      some_of(names)));
}

Task<> unpin_history(cli::Context& context, const Scope& scope) {
  if (scope.wish.value || scope.wish.cni_itself) co_return;
  std::set<std::string> ours;
  for (const auto& workload : scope.workloads) ours.insert(kube::uid_of(workload.object));
  kube::Query query;
  query.resource = &kube::kDeployments;
  query.ns = scope.ns;
  auto deployments = co_await context.client().list(query);
  auto now = co_await cni::Neighbourhood::read(context.client(), scope.ns);
  for (auto& object : deployments.items) {
    if (!ours.contains(kube::uid_of(object))) continue;
    Workload deployment{&kube::kDeployments, std::move(object)};
    auto around = now.around(deployment);
    co_await unpin_history_of(context, deployment, scope.wish.key, around.replica_sets);
  }
  co_await name_controller_revisions(context, scope);
}

Task<> wait_for_all(cli::Context& context, const Scope& scope, const Pinner& pinner) {
  if (!context.flags().flag("wait")) co_return;
  std::function<void(const std::string&)> progress = [&context](const std::string& missing) {
    context.waiting(missing);
  };
  auto wanted = those_to_wait_for(context, scope, pinner);
  co_await cni::wait_for_rollouts(context.client().until(context.deadline()), std::move(wanted),
                                  progress);
}

}  // namespace

Task<> apply(cli::Context& context, Scope scope) {
  bool real = context.dry_run() == cli::DryRun::kNone;
  co_await cli::mend_in_passing(context, context.flags().flag("recreate-bare-pods"));
  Pinner pinner(context, scope);
  co_await pinner.pin_all(scope.workloads);
  if (real && scope.whole) co_await pin_latecomers(context, pinner, scope);
  if (!scope.wish.cni_itself) co_await treat_pods(context, scope);
  if (real) {
    std::optional<Error> late;
    try {
      co_await wait_for_all(context, scope, pinner);
    } catch (const TimedOut& error) {
      late = error;  // what follows is as true of those that are not late
    }
    co_await unpin_history(context, scope);
    co_await pinner.look_again();
    if (late) context.report(*late);
  }
  if (real && pinner.holds_strategies()) {
    context.note(
        "StatefulSets and DaemonSets that are pinned in place have updateStrategy OnDelete until "
        "they are unpinned: a change of theirs does not roll by itself meanwhile");
  }
  auto summary = pinner.summary();
  if (!summary.empty()) context.note(summary);
}

}  // namespace kcni::pin
