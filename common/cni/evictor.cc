#include "common/cni/evictor.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/time.h"
#include "common/cni/budgets.h"
#include "common/cni/pods.h"
#include "common/cni/stuck.h"

namespace kcni::cni {

using kube::Json;

namespace {

constexpr Milliseconds kRetryPause{5000};  // kubectl drain's
constexpr Milliseconds kNoticePause{30'000};
constexpr long kDefaultGrace = 30;  // seconds; the API server's own default

}  // namespace

Task<> Evictor::evict(Json pod) {
  if (client_.options().read_only) co_return;
  co_await persuade(client_.until(options_.deadline), pod, nullptr);
  if (!only_tries()) co_await wait_or_skip(pod);
}

// Until the server has accepted the eviction, or there is nothing to evict any more. back: it is to
// come back.
Task<Evictor::Leaves> Evictor::persuade(kube::Client client, const Json& pod, Return* back) {
  options_.note(fmt::format("evicting pod {}", kube::key_of(pod)));
  auto place = place_of(pod);
  Clock::time_point next_notice{};
  for (bool again = false;; again = true) {
    if (back) {
      auto leaves = co_await meanwhile(client, pod, back);
      if (leaves) co_return *leaves;
      // Any command that ran during the pause found it whole, and no use in its backup.
      if (again) back->backup = co_await save_once_more(client, back->pod, back->backup);
      check_may_go(pod);
    }
    auto answer = co_await ask_to_leave(client, pod);
    if (back) back->perhaps_asked |= answer.sent_again;
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
    if (gone) co_return co_await confirm_gone(client, pod);
    if (options_.deadline.passed()) {
      throw blocked(
          fmt::format("{} could not be evicted within {}: {}", place, options_.timeout_text, why));
    }
  }
}

// A watch with a selector also loses sight of what is only labelled otherwise.
Task<Evictor::Leaves> Evictor::confirm_gone(kube::Client client, const Json& pod) {
  auto answer = co_await client.get(kube::kPods, kube::namespace_of(pod), kube::name_of(pod));
  bool whole = answer.ok() && kube::uid_of(answer.body) == kube::uid_of(pod) &&
               !kube::terminating(answer.body);
  if (!whole) co_return Leaves::kByItself;
  throw failed(
      fmt::format("{} is left alone, for its labels have changed: it is none of the pods that "
                  "are to go any more",
                  place_of(pod)));
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
  if (answer.not_found() || answer.namespace_terminating()) co_return Leaves::kByItself;
  if (answer.conflict()) {
    // Another UID under this name: ours has gone. Anything else is a passing conflict.
    auto now = co_await client.get(kube::kPods, kube::namespace_of(pod), kube::name_of(pod));
    bool other = now.ok() && kube::uid_of(now.body) != kube::uid_of(pod);
    if (now.not_found() || other) co_return Leaves::kByItself;
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
    options_.notice("waiting", pod,
                    fmt::format("waiting: {} may not go yet: {}", place_of(pod), why));
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
  options_.notice("left", pod,
                  fmt::format("pod {} has been in deletion for {} s and is not waited for",
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
    auto place = place_of(pod);
    if (deadline.passed()) {
      throw blocked(fmt::format("{} is being deleted but not gone after {}{}", place, timeout_text,
                                why.empty() ? "" : "; " + why));
    }
    if (!why.empty()) {
      options_.notice("stuck", pod, fmt::format("stuck: {} is being deleted; {}", place, why));
    }
    look = Deadline::after(kNoticePause);
  }
}

}  // namespace kcni::cni
