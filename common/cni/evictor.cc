#include "common/cni/evictor.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/cni/backup.h"
#include "common/cni/create_anew.h"
#include "common/cni/names.h"
#include "common/cni/pods_recreate.h"

namespace kcni::cni {

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

Task<> Evictor::evict(Json pod) {
  if (client_.options().read_only) co_return;
  co_await persuade(client_, pod);
  if (!only_tries()) co_await wait_until_gone(pod, http::OnInterrupt::kThrow);
}

// Until the server has accepted the eviction.
Task<> Evictor::persuade(kube::Client client, const Json& pod) {
  options_.note(fmt::format("evicting pod {}", kube::key_of(pod)));
  Clock::time_point next_notice{};
  while (true) {
    auto answer = co_await ask_to_leave(client, pod);
    bool again = co_await refused_for_now(client, pod, answer, next_notice);
    if (!again) break;
    bool only_tried = only_tries();
    auto pause = kube::with_jitter(answer.retry_after.value_or(kRetryPause));
    if (auto left = options_.deadline.left()) pause = std::min(pause, *left);
    if (!only_tried) co_await client_.loop().sleep(pause);
    if (only_tried || options_.deadline.passed()) {
      throw blocked(fmt::format("{} in namespace {} could not be evicted within {}: {}",
                                pod_name(pod), kube::namespace_of(pod), options_.timeout_text,
                                blocked_by_[kube::key_of(pod)]));
    }
  }
  blocked_by_.erase(kube::key_of(pod));
}

Task<kube::Answer> Evictor::ask_to_leave(kube::Client client, const Json& pod) {
  kube::DeleteOptions options;
  options.uid = kube::uid_of(pod);
  options.grace_period_seconds = options_.grace_period;
  auto ns = kube::namespace_of(pod);
  auto name = kube::name_of(pod);
  if (options_.disable_eviction) co_return co_await client.remove(kube::kPods, ns, name, options);
  co_return co_await client.evict(ns, name, options);
}

// True when asking again later may help; false when the pod is on its way. Throws what is final.
Task<bool> Evictor::refused_for_now(kube::Client client, const Json& pod,
                                    const kube::Answer& answer, Clock::time_point& next_notice) {
  if (answer.ok() || answer.not_found() || namespace_terminating(answer)) co_return false;
  if (answer.conflict()) {
    // Another UID under this name: ours has gone. Anything else is a passing conflict.
    auto now = co_await client.get(kube::kPods, kube::namespace_of(pod), kube::name_of(pod));
    bool gone = now.not_found() || (now.ok() && kube::uid_of(now.body) != kube::uid_of(pod));
    if (!gone) blocked_by_[kube::key_of(pod)] = answer.message();
    co_return !gone;
  }
  if (!answer.too_many_requests()) throw kube::ApiError(answer);
  const Json& cause = answer.cause("DisruptionBudget");
  auto why = cause.is_null() ? answer.message() : kube::text_at(cause, "/message");
  blocked_by_[kube::key_of(pod)] = why;
  if (Clock::now() >= next_notice) {
    options_.note(fmt::format("waiting: {} in namespace {} may not go yet: {}", pod_name(pod),
                              kube::namespace_of(pod), why));
    next_notice = Clock::now() + kNoticePause;
  }
  co_return true;
}

Task<> Evictor::wait_until_gone(const Json& pod, http::OnInterrupt on_interrupt) {
  try {
    co_await tracker_.wait_until_gone(kube::uid_of(pod), options_.deadline, on_interrupt);
  } catch (const TimedOut&) {
    const Json& finalizers = kube::at(pod, "/metadata/finalizers");
    throw blocked(
        fmt::format("{} in namespace {} is being deleted but not gone after {}{}", pod_name(pod),
                    kube::namespace_of(pod), options_.timeout_text,
                    finalizers.is_null() ? "" : "; it has finalizers " + finalizers.dump()));
  }
}

Task<Json> Evictor::recreate(Json pod, std::optional<std::string> value) {
  if (only_tries()) co_return pod;
  auto safe = client_.shielded();
  auto backup = co_await save_backup(safe, kube::kPods, pod);
  std::optional<Error> trouble;
  const char* state = "may have been deleted";
  try {
    // An answer that Ctrl-C kept from us could be that the pod is on its way.
    co_await persuade(safe, pod);
  } catch (const http::TransportError& error) {
    trouble = error;
  } catch (const TimedOut& error) {
    trouble = error;
  } catch (const kube::ApiError& error) {
    if (error.answer().status < 500) throw;
    trouble = error;
  }
  try {
    if (!trouble) {
      state = "was deleted and is not back";
      // Once more: another command that ran meanwhile may have found the pod whole and dropped it.
      backup = co_await save_backup(safe, kube::kPods, pod);
      Json made = co_await bring_back(pod, std::move(value));
      state = "is back, but its backup could not be deleted";
      co_await drop_backup(safe, backup);
      co_return made;
    }
  } catch (const Error& error) {
    trouble = error;
  }
  throw Error(
      trouble->status(),
      fmt::format("{} in namespace {} {}: {}; it is kept in {}, and running this again sees to it",
                  pod_name(pod), kube::namespace_of(pod), state, trouble->what(),
                  backup.display()));
}

Task<Json> Evictor::bring_back(const Json& pod, std::optional<std::string> value) {
  co_await wait_until_gone(pod, http::OnInterrupt::kGoOn);
  Json anew = recreatable_pod(pod, options_.key);
  if (value) {
    anew["spec"]["nodeSelector"][options_.key] = *value;
    anew["metadata"]["annotations"][kPinnedAnnotation] = options_.key;
  }
  Difference difference = [this, &pod](const Json& found) {
    return pod_difference(pod, found, options_.key);
  };
  // A create that the server puts off (a quota that has not counted the delete yet, a webhook that
  // is away) is tried for a while even when the command's own time is up.
  auto deadline = options_.deadline.left().value_or(kTimeToComeBack) < kTimeToComeBack
                      ? Deadline::after(kTimeToComeBack)
                      : options_.deadline;
  auto safe = client_.shielded();
  co_return co_await create_anew(safe, deadline, kube::kPods, std::move(anew),
                                 std::move(difference));
}

}  // namespace kcni::cni
