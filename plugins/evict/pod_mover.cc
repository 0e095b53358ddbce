#include <fmt/format.h>

#include <algorithm>

#include "common/base/duration.h"
#include "common/cni/backup.h"
#include "common/cni/cni_daemonsets.h"
#include "common/cni/create_anew.h"
#include "common/cni/pods.h"
#include "common/cni/pods_recreate.h"
#include "plugins/evict/evict.h"

namespace kcni::evict {

using kube::Json;

namespace {

constexpr Milliseconds kRetryPause{5000};  // kubectl drain's
constexpr Milliseconds kNoticePause{30'000};
constexpr Milliseconds kTimeToComeBack{60'000};

std::string pod_name(const Json& pod) {
  return "pod/" + kube::name_of(pod);
}

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
      if (context_.dry_run() != cli::DryRun::kNone) break;
      context_.note(
          fmt::format("waiting: pod {} is being deleted already", kube::key_of(plan.pod)));
      co_await wait_until_gone(plan.pod, http::OnInterrupt::kThrow);
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
  co_await persuade(pod);
  if (context_.dry_run() == cli::DryRun::kNone) {
    co_await wait_until_gone(pod, http::OnInterrupt::kThrow);
  }
}

// Until the server has accepted the eviction.
Task<> PodMover::persuade(const Json& pod) {
  context_.note(fmt::format("evicting pod {}", kube::key_of(pod)));
  Clock::time_point next_notice{};
  while (true) {
    auto answer = co_await ask_to_leave(pod);
    bool again = co_await refused_for_now(pod, answer, next_notice);
    if (!again) break;
    bool only_tried = context_.dry_run() != cli::DryRun::kNone;
    auto pause = kube::with_jitter(answer.retry_after.value_or(kRetryPause));
    if (auto left = context_.deadline().left()) pause = std::min(pause, *left);
    if (!only_tried) co_await client_.loop().sleep(pause);
    if (only_tried || context_.deadline().passed()) {
      throw blocked(fmt::format("{} in namespace {} could not be evicted within {}: {}",
                                pod_name(pod), kube::namespace_of(pod), context_.timeout_text(),
                                blocked_by_[kube::key_of(pod)]));
    }
  }
  blocked_by_.erase(kube::key_of(pod));
}

Task<> PodMover::wait_until_gone(const Json& pod, http::OnInterrupt on_interrupt) {
  try {
    co_await tracker_.wait_until_gone(kube::uid_of(pod), context_.deadline(), on_interrupt);
  } catch (const TimedOut&) {
    const Json& finalizers = kube::at(pod, "/metadata/finalizers");
    throw blocked(
        fmt::format("{} in namespace {} is being deleted but not gone after {}{}", pod_name(pod),
                    kube::namespace_of(pod), context_.timeout_text(),
                    finalizers.is_null() ? "" : "; it has finalizers " + finalizers.dump()));
  }
}

// From the accepted eviction on, the pod is brought back whatever comes: Ctrl-C waits for it. What
// ends the process all the same is mended by the next run of a command that calls cni::mend().
Task<> PodMover::recreate(const Json& pod) {
  if (context_.dry_run() != cli::DryRun::kNone) {
    print(pod, "recreated");
    co_return;
  }
  auto safe = client_.shielded();
  auto backup = co_await cni::save_backup(safe, kube::kPods, pod);
  co_await persuade(pod);
  std::optional<Error> trouble;
  try {
    // Once more: another command that ran meanwhile may have found the pod whole and dropped it.
    backup = co_await cni::save_backup(safe, kube::kPods, pod);
    co_await bring_back(pod);
    co_await cni::drop_backup(safe, backup);
    print(pod, "recreated");
    co_return;
  } catch (const Error& error) {
    trouble = error;
  }
  throw Error(
      trouble->status(),
      fmt::format("{} in namespace {} was deleted and is not back: {}; it is kept in {}, and "
                  "running this again puts it back",
                  pod_name(pod), kube::namespace_of(pod), trouble->what(), backup.display()));
}

Task<> PodMover::bring_back(const Json& pod) {
  co_await wait_until_gone(pod, http::OnInterrupt::kGoOn);
  Json anew = cni::recreatable_pod(pod, options_.key);
  cni::Difference difference = [this, &pod](const Json& found) {
    return cni::pod_difference(pod, found, options_.key);
  };
  // A create that the server puts off (a quota that has not counted the delete yet, a webhook that
  // is away) is tried for a while even when the command's own time is up.
  auto deadline = context_.deadline().left().value_or(kTimeToComeBack) < kTimeToComeBack
                      ? Deadline::after(kTimeToComeBack)
                      : context_.deadline();
  auto safe = client_.shielded();
  co_await cni::create_anew(safe, deadline, kube::kPods, std::move(anew), std::move(difference));
}

Task<> PodMover::restart(const Json& pod) {
  if (context_.dry_run() != cli::DryRun::kNone) {
    print(pod, "restarted");
    co_return;
  }
  context_.note(
      fmt::format("restarting pod {}, and waiting for its DaemonSet's new one", kube::key_of(pod)));
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
    throw blocked(
        fmt::format("{} in namespace {} was deleted, but no Ready pod of its DaemonSet is "
                    "on the node after {}",
                    pod_name(pod), kube::namespace_of(pod), context_.timeout_text()));
  }
  print(pod, "restarted");
}

}  // namespace kcni::evict
