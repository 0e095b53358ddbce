#include <fmt/format.h>

#include <algorithm>

#include "common/base/duration.h"
#include "common/cni/backup.h"
#include "common/cni/cni_daemonsets.h"
#include "common/cni/pods.h"
#include "common/cni/pods_recreate.h"
#include "plugins/evict/evict.h"

namespace kcni::evict {

using kube::Json;

namespace {

constexpr Milliseconds kRetryPause{5000};    // kubectl drain's
constexpr Milliseconds kNoticePause{30'000};

std::string pod_name(const Json& pod) { return "pod/" + kube::name_of(pod); }

bool namespace_terminating(const kube::Answer& answer) {
  return answer.status == 403 && !answer.cause("NamespaceTerminating").is_null();
}

}  // namespace

void PodMover::print(const Json& pod, const std::string& what) {
  context_.results().done(kube::kPods, kube::namespace_of(pod), kube::name_of(pod), what, "", pod);
}

Task<> PodMover::move(cni::PodPlan plan) {
  switch (plan.fate) {
    case cni::PodFate::kEvict:
      co_await evict(plan.pod);
      print(plan.pod, "evicted");
      break;
    case cni::PodFate::kRecreate:
      co_await recreate(plan.pod);
      break;
    case cni::PodFate::kRestart:
      co_await restart(plan.pod);
      break;
    case cni::PodFate::kWait:
      co_await wait_until_gone(plan.pod);
      break;
    case cni::PodFate::kLeave:
    case cni::PodFate::kRefuse:
      break;
  }
}

Task<kube::Answer> PodMover::ask_to_leave(const Json& pod) {
  kube::DeleteOptions options;
  options.uid = kube::uid_of(pod);
  options.grace_period_seconds = options_.grace_period;
  auto ns = kube::namespace_of(pod);
  auto name = kube::name_of(pod);
  if (options_.disable_eviction) co_return co_await client_.remove(kube::kPods, ns, name, options);
  co_return co_await client_.evict(ns, name, options);
}

// True when asking again later may help; false when the pod is on its way. Throws what is final.
Task<bool> PodMover::refused_for_now(const Json& pod, const kube::Answer& answer,
                                     Clock::time_point& next_notice) {
  if (answer.ok() || answer.not_found() || namespace_terminating(answer)) co_return false;
  if (answer.conflict()) {
    // Another UID under this name: ours has gone. Anything else is a passing conflict.
    auto now = co_await client_.get(kube::kPods, kube::namespace_of(pod), kube::name_of(pod));
    co_return now.ok() && kube::uid_of(now.body) == kube::uid_of(pod);
  }
  if (!answer.too_many_requests()) throw kube::ApiError(answer);
  const Json& cause = answer.cause("DisruptionBudget");
  auto why = cause.is_null() ? answer.message() : kube::text_at(cause, "/message");
  blocked_by_[kube::key_of(pod)] = why;
  if (Clock::now() >= next_notice) {
    context_.note(fmt::format("waiting: {} in namespace {} may not go yet: {}", pod_name(pod),
                              kube::namespace_of(pod), why));
    next_notice = Clock::now() + kNoticePause;
  }
  co_return true;
}

Task<> PodMover::evict(const Json& pod) {
  if (context_.dry_run() == cli::DryRun::kClient) co_return;
  context_.note(fmt::format("evicting pod {}", kube::key_of(pod)));
  Clock::time_point next_notice{};
  while (true) {
    auto answer = co_await ask_to_leave(pod);
    bool again = co_await refused_for_now(pod, answer, next_notice);
    if (!again) break;
    auto pause = kube::with_jitter(answer.retry_after.value_or(kRetryPause));
    if (auto left = context_.deadline().left()) pause = std::min(pause, *left);
    co_await client_.loop().sleep(pause);
    if (context_.deadline().passed()) {
      throw blocked(fmt::format("{} in namespace {} could not be evicted within {}: {}",
                                pod_name(pod), kube::namespace_of(pod), context_.timeout_text(),
                                blocked_by_[kube::key_of(pod)]));
    }
  }
  blocked_by_.erase(kube::key_of(pod));
  if (context_.dry_run() == cli::DryRun::kNone) co_await wait_until_gone(pod);
}

Task<> PodMover::wait_until_gone(const Json& pod) {
  try {
    co_await tracker_.wait_until_gone(kube::uid_of(pod), context_.deadline());
  } catch (const TimedOut&) {
    const Json& finalizers = kube::at(pod, "/metadata/finalizers");
    throw blocked(fmt::format("{} in namespace {} is being deleted but not gone after {}{}",
                              pod_name(pod), kube::namespace_of(pod), context_.timeout_text(),
                              finalizers.is_null() ? "" : "; it has finalizers " + finalizers.dump()));
  }
}

// Between the eviction and the create the pod exists only as its backup; whatever ends us there is
// mended by the next run of any command that calls cni::mend().
Task<> PodMover::recreate(const Json& pod) {
  if (context_.dry_run() != cli::DryRun::kNone) {
    print(pod, "recreated");
    co_return;
  }
  auto backup = co_await cni::save_backup(client_.shielded(), kube::kPods, pod);
  co_await evict(pod);
  auto safe = client_.shielded();
  Json anew = cni::recreatable_pod(pod, options_.key);
  auto answer = co_await safe.create(kube::kPods, kube::namespace_of(pod), std::move(anew));
  if (!answer.ok()) {
    throw failed(fmt::format(
        "{} in namespace {} is deleted and could not be created anew: {}; its backup is in {}, and "
        "running this again tries again",
        pod_name(pod), kube::namespace_of(pod), answer.message(), backup.display()));
  }
  auto difference = cni::pod_difference(pod, answer.body, options_.key);
  if (!difference.empty()) {
    throw failed(fmt::format("{} in namespace {} was created anew but differs in {}; its backup "
                             "stays in {}",
                             pod_name(pod), kube::namespace_of(pod), difference, backup.display()));
  }
  co_await cni::drop_backup(safe, backup);
  print(pod, "recreated");
}

Task<> PodMover::restart(const Json& pod) {
  if (context_.dry_run() != cli::DryRun::kNone) {
    print(pod, "restarted");
    co_return;
  }
  kube::DeleteOptions options;
  options.uid = kube::uid_of(pod);
  options.grace_period_seconds = options_.grace_period;
  auto answer =
      co_await client_.remove(kube::kPods, kube::namespace_of(pod), kube::name_of(pod), options);
  if (!answer.ok() && !answer.not_found() && !answer.conflict()) throw kube::ApiError(answer);
  auto owner = kube::text_at(kube::controller_of(pod), "/uid");
  auto old_uid = kube::uid_of(pod);
  cni::PodTracker::Condition replaced = [owner, old_uid](const kube::Snapshot& pods) {
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
    throw blocked(fmt::format("{} in namespace {} was deleted, but no Ready pod of its DaemonSet is "
                              "on the node after {}",
                              pod_name(pod), kube::namespace_of(pod), context_.timeout_text()));
  }
  print(pod, "restarted");
}

}  // namespace kcni::evict
