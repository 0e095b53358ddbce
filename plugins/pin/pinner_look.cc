// look_again() of pinner.h: whether what was promised has held.
#include <fmt/format.h>

#include <algorithm>

#include "common/cni/managed.h"
#include "common/cni/scheduling.h"
#include "plugins/pin/pinner.h"

namespace kcni::pin {

using cni::Neighbourhood;
using cni::PinWay;
using cni::Workload;
using kube::Json;
using Kind = cni::PinChange::Kind;

namespace {

// Argo CD and operators answer to a watch; this is long for them and short for us.
constexpr Milliseconds kReconcilersTime{5000};

std::string name_after_uid(const std::string& pod) {
  return pod.substr(pod.find(' ') + 1);
}

}  // namespace

Task<> Pinner::look_again() {
  if (context_.dry_run() != cli::DryRun::kNone || pinned_.empty()) co_return;
  bool anybody = std::any_of(pinned_.begin(), pinned_.end(), [](const Pinned& one) {
    return cni::manager_of(one.workload.object).reconciles;
  });
  if (anybody) co_await client_.loop().sleep(kReconcilersTime);
  bool in_place = std::any_of(pinned_.begin(), pinned_.end(),
                              [](const Pinned& one) { return one.way == PinWay::kInPlace; });
  Neighbourhood now;
  if (in_place) now = co_await Neighbourhood::read(client_, ns_);
  for (const auto& one : pinned_) {
    try {
      if (one.way == PinWay::kInPlace) co_await look_for_rollouts(one, now);
      if (!cni::manager_of(one.workload.object).name.empty()) co_await look_for_restored(one);
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      context_.report(error);
    }
  }
}

// By UIDs, for that nothing was restarted is what was promised.
Task<> Pinner::look_for_rollouts(const Pinned& one, const Neighbourhood& now) {
  auto around = now.around(one.workload);
  for (const auto* set : around.replica_sets) {
    const auto& before = one.replica_sets;
    if (std::find(before.begin(), before.end(), kube::uid_of(*set)) != before.end()) continue;
    throw failed(fmt::format("{} was rolled after all: {} is new", one.workload.place(),
                             kube::kReplicaSets.display(kube::name_of(*set))));
  }
  for (const auto& pod : one.pods) {
    bool there = std::any_of(around.pods.begin(), around.pods.end(), [&](const Json* other) {
      return pod.starts_with(kube::uid_of(*other));
    });
    if (there) continue;
    context_.warn(fmt::format("pod/{} of {} went meanwhile; pinning in place deletes none",
                              name_after_uid(pod), one.workload.place()));
  }
  co_return;
}

Task<> Pinner::look_for_restored(const Pinned& one) {
  const auto& old = one.workload;
  auto answer = co_await client_.get(*old.resource, kube::namespace_of(old.object),
                                     kube::name_of(old.object));
  if (answer.not_found()) co_return;
  Workload now{old.resource, kube::body_or_throw(std::move(answer))};
  bool selects = cni::plan_pin(now, wish_).kind == Kind::kUnchanged;
  bool has = wish_.value && cni::selected_value(cni::pod_spec_of(now), wish_.key) == *wish_.value;
  bool good = wish_.value ? has : selects || !cni::plan_pin(now, wish_).writes();
  auto manager = cni::manager_of(now.object).name;
  if (!good) {
    throw failed(fmt::format("{} was put back by {}: change it there, and run this again",
                             now.place(), manager));
  }
  bool held = cni::remembered(old.object).contains("updateStrategy");
  if (held && kube::text_at(now.object, "/spec/updateStrategy/type") != "OnDelete") {
    throw failed(fmt::format("the updateStrategy of {} was put back by {}, so its pods restart now",
                             now.place(), manager));
  }
}

}  // namespace kcni::pin
