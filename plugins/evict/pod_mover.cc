#include "plugins/evict/pod_mover.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/cni/cni_daemonsets.h"
#include "common/cni/pods.h"
#include "common/cni/scheduling.h"

namespace kcni::evict {

using kube::Json;

namespace {

constexpr Milliseconds kLookPause{30'000};

}  // namespace

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
  options.notice = [this](const char* event, const Json& pod, const std::string& line) {
    context_.note(line);
    context_.results().event(event, kube::kPods, pod, line);
  };
  return options;
}

void PodMover::print(const Json& pod, const std::string& what) {
  context_.results().done(kube::kPods, kube::namespace_of(pod), kube::name_of(pod), what, "", pod);
}

Task<Json> PodMover::move(const cni::PodPlan& plan) {
  switch (plan.fate) {
    case cni::PodFate::kEvict:
      co_await evictor_.evict(plan.pod);
      print(plan.pod, "evicted");
      break;
    case cni::PodFate::kRecreate: {
      Json made = co_await evictor_.recreate(plan.pod);
      if (!made.is_null()) print(made, "recreated");
      co_return made;
    }
    case cni::PodFate::kRestart:
      co_await restart(plan.pod);
      break;
    case cni::PodFate::kDelete:
      tell_(fmt::format("deleting pod {}", kube::key_of(plan.pod)));
      co_await remove(plan.pod);
      if (!only_tries()) co_await evictor_.wait_or_skip(plan.pod);
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
  co_return Json();
}

Task<> PodMover::remove(const Json& pod) {
  if (context_.dry_run() == cli::DryRun::kClient) co_return;
  kube::DeleteOptions options;
  options.uid = kube::uid_of(pod);
  options.grace_period_seconds = options_.grace_period;
  auto answer =
      co_await client_.remove(kube::kPods, kube::namespace_of(pod), kube::name_of(pod), options);
  if (!answer.ok() && !answer.not_found() && !answer.conflict()) throw kube::ApiError(answer);
}

Task<> PodMover::restart(const Json& pod) {
  tell_(
      fmt::format("restarting pod {}, and waiting for its DaemonSet's new one", kube::key_of(pod)));
  co_await remove(pod);
  if (only_tries()) {
    print(pod, "restarted");
    co_return;
  }
  co_await evictor_.wait_until_gone(pod, http::OnInterrupt::kThrow);
  while (true) {
    auto pause = context_.deadline().left().value_or(kLookPause);
    bool replaced = co_await is_replaced(pod, std::min(pause, kLookPause));
    if (replaced) break;
    bool comes = co_await comes_again(pod);
    if (!comes) {
      print(pod, "deleted");
      co_return;
    }
    auto place = cni::place_of(pod);
    if (context_.deadline().passed()) {
      throw blocked(
          fmt::format("{} was deleted, but no Ready pod of its DaemonSet is on the node after {}",
                      place, context_.timeout_text()));
    }
    context_.note(fmt::format("waiting: no Ready pod of its DaemonSet has replaced {} yet", place));
  }
  print(pod, "restarted");
}

Task<bool> PodMover::is_replaced(const Json& pod, Milliseconds limit) {
  auto owner = kube::text_at(kube::controller_of(pod), "/uid");
  kube::Tracker::Condition replaced = [owner](const kube::Snapshot& pods) {
    return std::any_of(pods.begin(), pods.end(), [&](const auto& entry) {
      return cni::owned_by(entry.second, owner) && cni::pod_ready(entry.second);
    });
  };
  try {
    co_await tracker_.wait_until(replaced, Deadline::after(std::max(limit, Milliseconds(1))));
    co_return true;
  } catch (const TimedOut&) {
    co_return false;
  }
}

// Its DaemonSet is there, and still wants a pod on this node.
Task<bool> PodMover::comes_again(const Json& pod) {
  const Json& owner = kube::controller_of(pod);
  auto answer = co_await client_.get(kube::kDaemonSets, kube::namespace_of(pod),
                                     kube::text_at(owner, "/name"));
  if (answer.not_found()) co_return false;
  Json daemonset = kube::body_or_throw(std::move(answer));
  if (kube::uid_of(daemonset) != kube::text_at(owner, "/uid") || kube::terminating(daemonset)) {
    co_return false;
  }
  auto node = co_await client_.get(kube::kNodes, "", cni::node_of(pod));
  if (node.not_found()) co_return false;
  co_return cni::may_run_on(kube::at(daemonset, "/spec/template/spec"),
                            kube::body_or_throw(std::move(node)));
}

}  // namespace kcni::evict
