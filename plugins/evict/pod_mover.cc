#include "plugins/evict/pod_mover.h"

#include <fmt/format.h>

#include "common/cni/cni_daemonsets.h"

namespace kcni::evict {

using kube::Json;

PodMover::PodMover(cli::Context& context, const Options& options, kube::Tracker& tracker,
                   std::function<void(const std::string&)> tell)
    : context_(context),
      client_(context.client()),
      options_(options),
      tracker_(tracker),
      tell_(std::move(tell)),
      evictor_(client_, tracker, evictor_options()) {}

cni::EvictorOptions PodMover::evictor_options() {
  cni::EvictorOptions options;
  options.disable_eviction = options_.disable_eviction;
  options.grace_period = options_.grace_period;
  options.deadline = context_.deadline();
  options.stuck_after = options_.stuck_after;
  options.skip_after = options_.rules.skip_after;
  options.timeout_text = context_.timeout_text();
  options.key = options_.key;
  options.note = tell_;
  return options;
}

void PodMover::print(const Json& pod, const std::string& what) {
  context_.results().done(kube::kPods, kube::namespace_of(pod), kube::name_of(pod), what, "", pod);
}

Task<> PodMover::move(const cni::PodPlan& plan) {
  switch (plan.fate) {
    case cni::PodFate::kEvict:
      co_await evictor_.evict(plan.pod);
      print(plan.pod, "evicted");
      break;
    case cni::PodFate::kRecreate: {
      Json made = co_await evictor_.recreate(plan.pod);
      print(made, "recreated");
      break;
    }
    case cni::PodFate::kRestart:
      co_await restart(plan.pod);
      break;
    case cni::PodFate::kDelete:
      if (!only_tries()) {
        tell_(fmt::format("deleting pod {}", kube::key_of(plan.pod)));
        co_await remove(plan.pod);
        co_await evictor_.wait_or_skip(plan.pod);
      }
      print(plan.pod, "deleted");
      break;
    case cni::PodFate::kWait:
      if (only_tries()) break;
      tell_(fmt::format("waiting: pod {} is being deleted already", kube::key_of(plan.pod)));
      co_await evictor_.wait_or_skip(plan.pod);
      break;
    case cni::PodFate::kLeave:
    case cni::PodFate::kRefuse:
      break;
  }
}

Task<> PodMover::remove(const Json& pod) {
  kube::DeleteOptions options;
  options.uid = kube::uid_of(pod);
  options.grace_period_seconds = options_.grace_period;
  auto answer =
      co_await client_.remove(kube::kPods, kube::namespace_of(pod), kube::name_of(pod), options);
  if (!answer.ok() && !answer.not_found() && !answer.conflict()) throw kube::ApiError(answer);
}

Task<> PodMover::restart(const Json& pod) {
  if (only_tries()) {
    print(pod, "restarted");
    co_return;
  }
  tell_(
      fmt::format("restarting pod {}, and waiting for its DaemonSet's new one", kube::key_of(pod)));
  co_await remove(pod);
  auto owner = kube::text_at(kube::controller_of(pod), "/uid");
  auto old_uid = kube::uid_of(pod);
  kube::Tracker::Condition replaced = [owner, old_uid](const kube::Snapshot& pods) {
    bool ready = false;
    for (const auto& [key, other] : pods) {
      if (kube::uid_of(other) == old_uid) return false;
      ready |= cni::owned_by(other, owner) && cni::pod_ready(other);
    }
    return ready;
  };
  try {
    co_await tracker_.wait_until(replaced, context_.deadline());
  } catch (const TimedOut&) {
    throw blocked(
        fmt::format("{} in namespace {} was deleted, but no Ready pod of its DaemonSet is "
                    "on the node after {}",
                    "pod/" + kube::name_of(pod), kube::namespace_of(pod), context_.timeout_text()));
  }
  print(pod, "restarted");
}

}  // namespace kcni::evict
