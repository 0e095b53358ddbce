#include "common/cni/evictor.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/time.h"
#include "common/cni/budgets.h"
#include "common/cni/create_anew.h"
#include "common/cni/names.h"
#include "common/cni/pods.h"
#include "common/cni/pods_recreate.h"
#include "common/cni/stuck.h"

namespace kcni::cni {

using kube::Json;

namespace {

constexpr Milliseconds kRetryPause{5000};  // kubectl drain's
constexpr Milliseconds kNoticePause{30'000};
constexpr Milliseconds kTimeToComeBack{60'000};
constexpr Milliseconds kTimeAfterInterrupt{60'000};
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
  co_await persuade(client_, pod, /*comes_back=*/false);
  if (!only_tries()) co_await wait_or_skip(pod);
}

// Until the server has accepted the eviction, or there is nothing to evict any more.
Task<Evictor::Leaves> Evictor::persuade(kube::Client client, const Json& pod, bool comes_back) {
  options_.note(fmt::format("evicting pod {}", kube::key_of(pod)));
  auto place = fmt::format("{} in namespace {}", pod_name(pod), kube::namespace_of(pod));
  Clock::time_point next_notice{};
  while (true) {
    if (comes_back) {
      if (auto leaves = meanwhile(pod)) co_return *leaves;
    }
    auto answer = co_await ask_to_leave(client, pod);
    auto leaves = co_await verdict(client, pod, answer, next_notice);
    if (leaves) {
      blocked_by_.erase(kube::key_of(pod));
      co_return *leaves;
    }
    const auto& why = blocked_by_[kube::key_of(pod)];
    if (only_tries()) throw blocked(fmt::format("{} could not be evicted now: {}", place, why));
    auto pause =
        answer.retry_after ? kube::no_sooner(*answer.retry_after) : kube::with_jitter(kRetryPause);
    if (auto left = options_.deadline.left()) pause = std::min(pause, *left);
    // A namesake that the budget holds as well is asked about before its UID is looked at.
    bool gone = co_await goes_within(pod, pause);
    if (gone) co_return Leaves::kByItself;
    if (options_.deadline.passed()) {
      throw blocked(
          fmt::format("{} could not be evicted within {}: {}", place, options_.timeout_text, why));
    }
  }
}

// What the watch saw of it while a budget held it.
std::optional<Evictor::Leaves> Evictor::meanwhile(const Json& pod) const {
  const auto* now = tracker_.now();
  if (!now) return std::nullopt;
  auto found = now->find(kube::key_of(pod));
  if (found == now->end() || kube::uid_of(found->second) != kube::uid_of(pod)) {
    return Leaves::kByItself;
  }
  if (kube::terminating(found->second)) return Leaves::kByItself;
  if (finished(found->second)) return Leaves::kFinished;
  return std::nullopt;
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

// nullopt when asking again later may help. Throws what is final.
Task<std::optional<Evictor::Leaves>> Evictor::verdict(kube::Client client, const Json& pod,
                                                      const kube::Answer& answer,
                                                      Clock::time_point& next_notice) {
  if (answer.ok()) co_return Leaves::kAsked;
  if (namespace_terminating(answer)) co_return Leaves::kByItself;
  // Sent twice, our own first request may be why it is gone.
  auto gone = answer.sent_again ? Leaves::kAsked : Leaves::kByItself;
  if (answer.not_found()) co_return gone;
  if (answer.conflict()) {
    // Another UID under this name: ours has gone. Anything else is a passing conflict.
    auto now = co_await client.get(kube::kPods, kube::namespace_of(pod), kube::name_of(pod));
    bool other = now.ok() && kube::uid_of(now.body) != kube::uid_of(pod);
    if (now.not_found() || other) co_return gone;
    blocked_by_[kube::key_of(pod)] = answer.message();
    co_return std::nullopt;
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
    options_.notice(fmt::format("waiting: {} in namespace {} may not go yet: {}", pod_name(pod),
                                kube::namespace_of(pod), why));
    next_notice = Clock::now() + kNoticePause;
  }
  co_return std::nullopt;
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
  options_.notice(fmt::format("pod {} has been in deletion for {} s and is not waited for",
                              kube::key_of(pod), options_.skip_after.count()));
}

Task<> Evictor::wait_until_gone(const Json& pod, http::OnInterrupt on_interrupt) {
  co_await wait_until_gone(pod, on_interrupt, options_.deadline, options_.timeout_text);
}

Task<> Evictor::wait_until_gone(const Json& pod, http::OnInterrupt on_interrupt, Deadline deadline,
                                std::string timeout_text) {
  auto look = Deadline::after(grace_of(pod) + options_.stuck_after);
  while (true) {
    bool gone = true;
    try {
      co_await tracker_.wait_until_gone(kube::uid_of(pod), deadline.earlier(look), on_interrupt);
    } catch (const TimedOut&) {
      gone = false;
    }
    if (gone) co_return;
    auto why = co_await read_stuck_reason(client_.shielded(), pod);
    auto place = fmt::format("{} in namespace {}", pod_name(pod), kube::namespace_of(pod));
    if (deadline.passed()) {
      throw blocked(fmt::format("{} is being deleted but not gone after {}{}", place, timeout_text,
                                why.empty() ? "" : "; " + why));
    }
    if (!why.empty()) options_.notice(fmt::format("stuck: {} is being deleted; {}", place, why));
    look = Deadline::after(kNoticePause);
  }
}

Task<Json> Evictor::recreate(Json pod, std::optional<std::string> value) {
  auto safe = client_.shielded();
  Json anew = made_anew(pod, value);
  if (client_.options().read_only) co_return anew;
  bool may = co_await check_comes_back(safe, pod, anew);
  if (only_tries()) {
    co_await persuade(client_, pod, /*comes_back=*/false);
    co_return anew;
  }
  if (!may) {  // with its namespace it goes for good, whoever moves it
    co_await say_left(pod, Leaves::kByItself);
    co_return Json();
  }
  auto backup = co_await save_backup(safe, kube::kPods, pod);
  std::optional<Error> trouble;
  std::exception_ptr refusal;
  const char* state = "may have been deleted";
  auto leaves = Leaves::kAsked;
  try {
    // An answer that Ctrl-C kept from us could be that the pod is on its way.
    leaves = co_await persuade(safe, pod, /*comes_back=*/true);
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
  if (refusal || leaves != Leaves::kAsked) co_await drop_unused(safe, backup);
  if (refusal) std::rethrow_exception(refusal);
  if (leaves != Leaves::kAsked) {
    co_await say_left(pod, leaves);
    co_return Json();
  }
  try {
    if (!trouble) {
      state = "was deleted and is not back";
      pod = co_await newest(safe, std::move(pod));
      backup = co_await save_once_more(safe, pod, std::move(backup));
      Json made = co_await bring_back(pod, made_anew(pod, value), backup);
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

// Its user may have changed it while a budget held it: labels, annotations, images.
Task<Json> Evictor::newest(kube::Client client, Json pod) {
  try {
    auto answer = co_await client.get(kube::kPods, kube::namespace_of(pod), kube::name_of(pod));
    bool same = answer.ok() && kube::uid_of(answer.body) == kube::uid_of(pod);
    if (same) co_return std::move(answer.body);
  } catch (const Error&) {
    // As it was read is as good as can be then.
  }
  co_return pod;
}

// Only a finished one stays on its node, as it would have had it finished before.
Task<> Evictor::say_left(const Json& pod, Leaves how) {
  auto place = fmt::format("{} in namespace {}", pod_name(pod), kube::namespace_of(pod));
  if (how == Leaves::kFinished) {
    options_.notice(place + " has finished meanwhile and is left as it is");
    co_return;
  }
  options_.notice(place + " is deleted by somebody else, so it is not made anew");
  co_await wait_or_skip(pod);
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

// Rights, quotas and admission may be stricter than when it was born: asked before it goes. False
// when its namespace is being deleted, and it with that.
Task<bool> Evictor::check_comes_back(kube::Client client, const Json& pod, Json anew) {
  std::optional<Error> trouble;
  try {
    co_await check_creatable(client, kube::kPods, std::move(anew));
  } catch (const kube::ApiError& error) {
    if (namespace_terminating(error.answer())) co_return false;
    trouble = error;
  }
  if (!trouble) co_return true;
  throw Error(trouble->status(),
              fmt::format("{} in namespace {} is left alone, for it could not be made anew: {}",
                          pod_name(pod), kube::namespace_of(pod), trouble->what()));
}

// Another command that ran meanwhile may have found the pod whole and dropped its backup. Whether
// this one can be written or not, the pod comes back.
Task<BackupRef> Evictor::save_once_more(kube::Client client, const Json& pod, BackupRef before) {
  try {
    co_return co_await save_backup(client, kube::kPods, pod);
  } catch (const Error& error) {
    options_.notice(
        fmt::format("the backup of {} could not be looked after: {}", pod_name(pod), error.what()));
  }
  co_return before;
}

// Ctrl-C is not left unheard, but half way is the wrong place to stop.
Task<> Evictor::wait_to_return(const Json& pod, const BackupRef& backup) {
  try {
    co_await wait_until_gone(pod, http::OnInterrupt::kThrow);
    co_return;
  } catch (const Interrupted&) {
  }
  auto limit = Deadline::after(kTimeAfterInterrupt);
  options_.notice(fmt::format(
      "interrupted: {} in namespace {} is on its way and is still made anew; if it is not gone in "
      "{} s it is left in {}",
      pod_name(pod), kube::namespace_of(pod), kTimeAfterInterrupt.count() / 1000,
      backup.display()));
  co_await wait_until_gone(pod, http::OnInterrupt::kGoOn, options_.deadline.earlier(limit),
                           "Ctrl-C and a while");
}

Task<Json> Evictor::bring_back(const Json& pod, Json anew, const BackupRef& backup) {
  co_await wait_to_return(pod, backup);
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
