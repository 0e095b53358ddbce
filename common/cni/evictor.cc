#include "common/cni/evictor.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/time.h"
#include "common/cni/budgets.h"
#include "common/cni/create_anew.h"
#include "common/cni/names.h"
#include "common/cni/pods_recreate.h"
#include "common/cni/stuck.h"

namespace kcni::cni {

using kube::Json;

namespace {

constexpr Milliseconds kRetryPause{5000};  // kubectl drain's
constexpr Milliseconds kNoticePause{30'000};
constexpr Milliseconds kTimeToComeBack{60'000};
constexpr long kDefaultGrace = 30;  // seconds; the API server's own default

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
  if (!only_tries()) co_await wait_or_skip(pod);
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
    auto place = fmt::format("{} in namespace {}", pod_name(pod), kube::namespace_of(pod));
    const auto& why = blocked_by_[kube::key_of(pod)];
    if (only_tried) throw blocked(fmt::format("{} could not be evicted now: {}", place, why));
    // A namesake that the budget holds as well is asked about before its UID is looked at.
    bool gone = co_await goes_within(pod, pause);
    if (gone) break;
    if (options_.deadline.passed()) {
      throw blocked(
          fmt::format("{} could not be evicted within {}: {}", place, options_.timeout_text, why));
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
  if (has_several_budgets(answer)) {
    Error error = co_await several_budgets_error(client, pod);
    throw error;
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

Milliseconds Evictor::grace_of(const Json& pod) const {
  long seconds = kube::number_at(pod, "/spec/terminationGracePeriodSeconds", kDefaultGrace);
  return std::chrono::seconds(options_.grace_period.value_or(seconds));
}

Task<bool> Evictor::goes_within(const Json& pod, Milliseconds pause) {
  try {
    co_await tracker_.wait_until_gone(kube::uid_of(pod),
                                      Deadline::after(std::max(pause, Milliseconds(1))));
    co_return true;
  } catch (const TimedOut&) {
    co_return false;
  }
}

// When it began to be deleted, as the server has it: the grace period is in it. nullopt: it is
// gone.
Task<std::optional<std::chrono::system_clock::time_point>> Evictor::deleted_since(const Json& pod) {
  std::optional<std::chrono::system_clock::time_point> since;
  kube::Tracker::Condition begun = [&](const kube::Snapshot& snapshot) {
    auto found = snapshot.find(kube::key_of(pod));
    if (found == snapshot.end() || kube::uid_of(found->second) != kube::uid_of(pod)) return true;
    since = parse_rfc3339(kube::text_at(found->second, "/metadata/deletionTimestamp"));
    return since.has_value();
  };
  co_await tracker_.wait_until(begun, options_.deadline);
  co_return since;
}

// kubectl drain's --skip-wait-for-delete-timeout.
Task<> Evictor::wait_or_skip(const Json& pod) {
  if (options_.skip_after.count() == 0) {
    co_await wait_until_gone(pod, http::OnInterrupt::kThrow);
    co_return;
  }
  auto since = co_await deleted_since(pod);
  if (!since) co_return;
  auto left = std::chrono::ceil<Milliseconds>(*since + options_.skip_after -
                                              std::chrono::system_clock::now());
  auto limit = options_.deadline.left().value_or(Milliseconds::max());
  if (left > limit) {
    co_await wait_until_gone(pod, http::OnInterrupt::kThrow);
    co_return;
  }
  bool gone = co_await goes_within(pod, left);
  if (gone) co_return;
  options_.note(fmt::format("pod {} has been in deletion for {} s and is not waited for",
                            kube::key_of(pod), options_.skip_after.count()));
}

Task<> Evictor::wait_until_gone(const Json& pod, http::OnInterrupt on_interrupt) {
  auto look = Deadline::after(grace_of(pod) + options_.stuck_after);
  while (true) {
    bool gone = true;
    try {
      co_await tracker_.wait_until_gone(kube::uid_of(pod), options_.deadline.earlier(look),
                                        on_interrupt);
    } catch (const TimedOut&) {
      gone = false;
    }
    if (gone) co_return;
    auto why = co_await read_stuck_reason(client_.shielded(), pod);
    auto place = fmt::format("{} in namespace {}", pod_name(pod), kube::namespace_of(pod));
    if (options_.deadline.passed()) {
      throw blocked(fmt::format("{} is being deleted but not gone after {}{}", place,
                                options_.timeout_text, why.empty() ? "" : "; " + why));
    }
    if (!why.empty()) options_.note(fmt::format("stuck: {} is being deleted; {}", place, why));
    look = Deadline::after(kNoticePause);
  }
}

Task<Json> Evictor::recreate(Json pod, std::optional<std::string> value) {
  if (only_tries()) co_return pod;
  auto safe = client_.shielded();
  Json anew = made_anew(pod, value);
  co_await check_comes_back(safe, pod, anew);
  auto backup = co_await save_backup(safe, kube::kPods, pod);
  std::optional<Error> trouble;
  std::exception_ptr refusal;
  const char* state = "may have been deleted";
  try {
    // An answer that Ctrl-C kept from us could be that the pod is on its way.
    co_await persuade(safe, pod);
  } catch (const http::TransportError& error) {
    trouble = error;
  } catch (const TimedOut& error) {
    trouble = error;
  } catch (const kube::ApiError& error) {
    if (error.answer().status >= 500) trouble = error;
    if (!trouble) refusal = std::current_exception();
  } catch (const Error&) {  // it may not go, and has not
    refusal = std::current_exception();
  }
  if (refusal) {
    co_await drop_unused(safe, backup);
    std::rethrow_exception(refusal);
  }
  try {
    if (!trouble) {
      state = "was deleted and is not back";
      co_await save_once_more(safe, pod);
      Json made = co_await bring_back(pod, std::move(anew));
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

// One that stays is dropped by the next run: the pod is there.
Task<> Evictor::drop_unused(kube::Client client, BackupRef backup) {
  try {
    co_await drop_backup(client, std::move(backup));
  } catch (const Error&) {
    // Nothing depends on it.
  }
}

Json Evictor::made_anew(const Json& pod, const std::optional<std::string>& value) const {
  Json anew = recreatable_pod(pod, options_.key);
  if (value) {
    anew["spec"]["nodeSelector"][options_.key] = *value;
    anew["metadata"]["annotations"][kPinnedAnnotation] = options_.key;
  }
  return anew;
}

// Rights, quotas and admission may be stricter than when it was born: asked before it goes.
Task<> Evictor::check_comes_back(kube::Client client, const Json& pod, Json anew) {
  std::optional<Error> trouble;
  try {
    co_await check_creatable(client, kube::kPods, std::move(anew));
  } catch (const kube::ApiError& error) {
    trouble = error;
  }
  if (!trouble) co_return;
  throw Error(trouble->status(),
              fmt::format("{} in namespace {} is left alone, for it could not be made anew: {}",
                          pod_name(pod), kube::namespace_of(pod), trouble->what()));
}

// Another command that ran meanwhile may have found the pod whole and dropped its backup. Whether
// this one can be written or not, the pod comes back.
Task<> Evictor::save_once_more(kube::Client client, const Json& pod) {
  try {
    co_await save_backup(client, kube::kPods, pod);
  } catch (const Error& error) {
    options_.note(
        fmt::format("the backup of {} could not be looked after: {}", pod_name(pod), error.what()));
  }
}

Task<Json> Evictor::bring_back(const Json& pod, Json anew) {
  co_await wait_until_gone(pod, http::OnInterrupt::kGoOn);
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
