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
  co_await persuade(client_.until(options_.deadline), pod, nullptr);
  if (!only_tries()) co_await wait_or_skip(pod);
}

// Until the server has accepted the eviction, or there is nothing to evict any more. back: it is to
// come back.
Task<Evictor::Leaves> Evictor::persuade(kube::Client client, const Json& pod, Return* back) {
  options_.note(fmt::format("evicting pod {}", kube::key_of(pod)));
  auto place = fmt::format("{} in namespace {}", pod_name(pod), kube::namespace_of(pod));
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

// Nothing is begun that could not be ended, nor after Ctrl-C.
void Evictor::check_may_go(const Json& pod) const {
  if (only_tries()) return;
  if (client_.loop().interrupted()) throw Interrupted();
  if (!options_.deadline.passed()) return;
  throw blocked(fmt::format("{} in namespace {} was not evicted within {}", pod_name(pod),
                            kube::namespace_of(pod), options_.timeout_text));
}

// What the watch saw of it while a budget held it.
Task<std::optional<Evictor::Leaves>> Evictor::meanwhile(kube::Client client, const Json& pod,
                                                        Return* back) {
  const auto* now = tracker_.now();
  if (!now) co_return std::nullopt;
  auto found = now->find(kube::key_of(pod));
  if (found == now->end() || kube::uid_of(found->second) != kube::uid_of(pod)) {
    co_return co_await confirm_gone(client, pod);
  }
  if (kube::terminating(found->second)) co_return Leaves::kByItself;
  if (finished(found->second)) co_return Leaves::kFinished;
  back->pod = found->second;  // its user may have changed labels, annotations, images
  co_return std::nullopt;
}

// A watch with a selector also loses sight of what is only labelled otherwise.
Task<Evictor::Leaves> Evictor::confirm_gone(kube::Client client, const Json& pod) {
  auto answer = co_await client.get(kube::kPods, kube::namespace_of(pod), kube::name_of(pod));
  bool whole = answer.ok() && kube::uid_of(answer.body) == kube::uid_of(pod) &&
               !kube::terminating(answer.body);
  if (!whole) co_return Leaves::kByItself;
  throw failed(fmt::format(
      "{} in namespace {} is left alone, for its labels have changed: it is none of the pods that "
      "are to go any more",
      pod_name(pod), kube::namespace_of(pod)));
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
    options_.notice("waiting", pod,
                    fmt::format("waiting: {} in namespace {} may not go yet: {}", pod_name(pod),
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
    auto place = fmt::format("{} in namespace {}", pod_name(pod), kube::namespace_of(pod));
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

Task<Json> Evictor::recreate(Json pod, std::optional<std::string> value) {
  auto safe = client_.shielded();
  auto bounded = safe.until(options_.deadline);
  if (client_.options().read_only) co_return made_anew(pod, value);
  bool may = co_await check_comes_back(bounded, pod, made_anew(pod, value));
  if (only_tries()) {
    co_await persuade(client_, pod, nullptr);
    co_return made_anew(pod, value);
  }
  if (!may) {  // with its namespace it goes for good, whoever moves it
    co_await say_left(pod, Leaves::kByItself);
    co_return Json();
  }
  check_may_go(pod);
  Return back;  // not in braces with the co_await: GCC 12 would destroy the pod twice
  back.pod = pod;
  back.backup = co_await save_backup(bounded, kube::kPods, pod);
  std::optional<Error> trouble;
  std::exception_ptr refusal;
  auto leaves = Leaves::kAsked;
  try {
    // An answer that Ctrl-C kept from us could be that the pod is on its way.
    leaves = co_await persuade(bounded, pod, &back);
  } catch (const http::TransportError& error) {
    trouble = error;
  } catch (const TimedOut& error) {
    trouble = error;
  } catch (const Error& error) {  // it may not go, and has not, as far as the answers were heard
    const auto* api = dynamic_cast<const kube::ApiError*>(&error);
    bool unclear = back.perhaps_asked || (api && api->answer().status >= 500);
    if (unclear) trouble = error;
    if (!unclear) refusal = std::current_exception();
  }
  if (trouble) throw kept(back, "may have been deleted", *trouble);
  if (back.perhaps_asked && leaves == Leaves::kByItself) leaves = Leaves::kAsked;
  if (refusal || leaves != Leaves::kAsked) co_await drop_unused(safe, back.backup);
  if (refusal) std::rethrow_exception(refusal);
  if (leaves != Leaves::kAsked) {
    co_await say_left(pod, leaves);
    co_return Json();
  }
  const char* state = "was deleted and is not back";
  try {
    back.backup = co_await save_once_more(safe, back.pod, back.backup);
    Json made = co_await bring_back(back, made_anew(back.pod, value));
    state = "is back, but its backup could not be deleted";
    co_await drop_backup(safe, back.backup);
    co_return made;
  } catch (const Error& error) {
    trouble = error;
  }
  throw kept(back, state, *trouble);
}

Error Evictor::kept(const Return& back, const char* state, const Error& trouble) const {
  return {
      trouble.status(),
      fmt::format("{} in namespace {} {}: {}; it is kept in {}, and running this again sees to it",
                  pod_name(back.pod), kube::namespace_of(back.pod), state, trouble.what(),
                  back.backup.display())};
}

// Only a finished one stays on its node, as it would have had it finished before.
Task<> Evictor::say_left(const Json& pod, Leaves how) {
  auto place = fmt::format("{} in namespace {}", pod_name(pod), kube::namespace_of(pod));
  if (how == Leaves::kFinished) {
    options_.notice("left", pod, place + " has finished meanwhile and is left as it is");
    co_return;
  }
  options_.notice("left", pod, place + " is deleted by somebody else, so it is not made anew");
  co_await wait_or_skip(pod);
}

// One that stays is dropped by the next run: the pod is there. Another run may depend on one that
// was there before, so that is left to the next run too.
Task<> Evictor::drop_unused(kube::Client client, BackupRef backup) {
  if (backup.replaced) co_return;
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
    auto saved = co_await save_backup(client, kube::kPods, pod);
    saved.replaced = before.replaced;  // what it replaces now is our own
    co_return saved;
  } catch (const Error& error) {
    options_.notice(
        "waiting", pod,
        fmt::format("the backup of {} could not be looked after: {}", pod_name(pod), error.what()));
  }
  co_return before;
}

// Neither Ctrl-C nor the deadline is left unheard, but half way is the wrong place to stop.
Task<> Evictor::wait_to_return(const Return& back) {
  const auto& pod = back.pod;
  std::string why;
  auto limit = kTimeToComeBack;
  try {
    co_await wait_until_gone(pod, http::OnInterrupt::kThrow);
    co_return;
  } catch (const Interrupted&) {
    why = "interrupted";
  } catch (const Error& error) {
    if (error.status() != ExitStatus::kBlocked) throw;
    why = options_.timeout_text + " have passed";
    limit = grace_of(pod);
  }
  options_.notice("interrupted", pod,
                  fmt::format("{}: {} in namespace {} is on its way and is still made anew; if it "
                              "is not gone in {} s it is left in {}",
                              why, pod_name(pod), kube::namespace_of(pod), limit.count() / 1000,
                              back.backup.display()));
  co_await wait_until_gone(pod, http::OnInterrupt::kGoOn, Deadline::after(limit),
                           "that, and a while");
}

Task<Json> Evictor::bring_back(const Return& back, Json anew) {
  co_await wait_to_return(back);
  if (has_empty_dir(back.pod)) {
    options_.notice("left", back.pod,
                    fmt::format("the data of {} in namespace {} in emptyDir volumes is lost",
                                pod_name(back.pod), kube::namespace_of(back.pod)));
  }
  Difference difference = [this, &back](const Json& found) {
    return pod_difference(back.pod, found, options_.key);
  };
  std::function<void(const std::string&)> notice = [this, &back](const std::string& line) {
    options_.notice("waiting", back.pod,
                    fmt::format("waiting: {}; it is kept in {}", line, back.backup.display()));
  };
  // A create that the server puts off (a quota that has not counted the delete yet, a webhook that
  // is away) is tried for a while even when the command's own time is up.
  auto deadline = options_.deadline.left().value_or(kTimeToComeBack) < kTimeToComeBack
                      ? Deadline::after(kTimeToComeBack)
                      : options_.deadline;
  co_return co_await create_anew(client_.shielded(), deadline, kube::kPods, std::move(anew),
                                 std::move(difference), std::move(notice));
}

}  // namespace kcni::cni
