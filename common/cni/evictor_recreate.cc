// recreate() of evictor.h: a bare Pod goes, and comes back.
#include <fmt/format.h>

#include <optional>

#include "common/cni/create_anew.h"
#include "common/cni/evictor.h"
#include "common/cni/names.h"
#include "common/cni/pods.h"
#include "common/cni/pods_recreate.h"

namespace kcni::cni {

using kube::Json;

namespace {

constexpr Milliseconds kTimeToComeBack{60'000};

}  // namespace

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
  // Our own first request may be why it is gone.
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
  return {trouble.status(),
          fmt::format("{} {}: {}; it is kept in {}, and running this again sees to it",
                      place_of(back.pod), state, trouble.what(), back.backup.display())};
}

// Nothing is begun that could not be ended, nor after Ctrl-C.
void Evictor::check_may_go(const Json& pod) const {
  if (only_tries()) return;
  if (client_.loop().interrupted()) throw Interrupted();
  if (!options_.deadline.passed()) return;
  throw blocked(fmt::format("{} was not evicted within {}", place_of(pod), options_.timeout_text));
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

// Only a finished one stays on its node, as it would have had it finished before.
Task<> Evictor::say_left(const Json& pod, Leaves how) {
  auto place = place_of(pod);
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
  if (backup.replaced()) co_return;
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
    if (error.answer().namespace_terminating()) co_return false;
    trouble = error;
  }
  if (!trouble) co_return true;
  throw Error(trouble->status(), fmt::format("{} is left alone, for it could not be made anew: {}",
                                             place_of(pod), trouble->what()));
}

// Another command that ran meanwhile may have found the pod whole and dropped its backup. Whether
// this one can be written or not, the pod comes back.
Task<BackupRef> Evictor::save_once_more(kube::Client client, const Json& pod, BackupRef before) {
  try {
    auto saved = co_await save_backup(client, kube::kPods, pod);
    saved.replaced_version = before.replaced_version;  // what it replaces now is our own
    co_return saved;
  } catch (const Error& error) {
    options_.notice("waiting", pod,
                    fmt::format("the backup of {} could not be looked after: {}",
                                "pod/" + kube::name_of(pod), error.what()));
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
                  fmt::format("{}: {} is on its way and is still made anew; if it "
                              "is not gone in {} s it is left in {}",
                              why, place_of(pod), limit.count() / 1000, back.backup.display()));
  co_await wait_until_gone(pod, http::OnInterrupt::kGoOn, Deadline::after(limit),
                           "that, and a while");
}

Task<Json> Evictor::bring_back(const Return& back, Json anew) {
  co_await wait_to_return(back);
  if (has_empty_dir(back.pod)) {
    options_.notice("left", back.pod,
                    fmt::format("the data of {} in emptyDir volumes is lost", place_of(back.pod)));
  }
  Difference difference = [this, &back](const Json& found) {
    return pod_difference(back.pod, found, options_.key);
  };
  Notice notice = [this, &back](const std::string& line) {
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
