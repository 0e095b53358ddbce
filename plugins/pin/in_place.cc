#include "plugins/pin/in_place.h"

#include <fmt/format.h>

#include <optional>

#include "common/cni/names.h"
#include "common/cni/neighbourhood.h"

namespace kcni::pin {

using cni::Workload;
using kube::Json;

namespace {

// What a controller that is alive needs; it does nothing but compare.
constexpr Milliseconds kControllersTime{60'000};
constexpr Milliseconds kPause{500};
constexpr int kMaxTries = 20;

/// The server will not have the ReplicaSet changed (rights, admission): it is as it was.
class ReplicaSetRefused : public Error {
 public:
  explicit ReplicaSetRefused(const kube::ApiError& error) : Error(error.status(), error.what()) {}
};

Error gone(const Workload& workload) {
  return failed(workload.place() + " was deleted meanwhile by somebody else");
}

// What an in-place pin that stopped half-way has changed.
const char* state_of(const Workload& workload) {
  if (cni::remembered(workload.object).is_null()) return "as it should be";
  return workload.resource == &kube::kDeployments ? "paused" : "with updateStrategy OnDelete";
}

Error left(const Workload& workload, const Error& trouble) {
  return Error(trouble.status(), fmt::format("{} is left {}: {}; running this again goes on",
                                             workload.place(), state_of(workload), trouble.what()));
}

}  // namespace

kube::Tracker& Trackers::of(const kube::Resource& resource) {
  auto& tracker = trackers_[&resource];
  if (!tracker) {
    kube::Query query;
    query.resource = &resource;
    query.ns = ns_;
    tracker = std::make_unique<kube::Tracker>(client_, query);
    tracker->start();
  }
  return *tracker;
}

// Whatever --timeout says: what is begun has to come to its end.
Deadline InPlace::soon() {
  return Deadline::after(kControllersTime);
}

Task<> InPlace::reread(Workload& workload) {
  auto answer = co_await client_.shielded().get(
      *workload.resource, kube::namespace_of(workload.object), kube::name_of(workload.object));
  workload.object = kube::body_or_throw(std::move(answer));
}

Task<bool> InPlace::pin(Workload& workload) {
  // Who may not watch it could never learn when to go on.
  co_await trackers_.of(*workload.resource).wait_until_looking(soon());
  auto safe = client_.shielded();
  Json before = workload.object;
  Json patch = cni::in_place_patch(workload, wish_);
  auto answer = co_await safe.patch(*workload.resource, kube::namespace_of(before),
                                    kube::name_of(before), kube::PatchType::kMerge, patch);
  if (answer.conflict()) co_return false;
  workload.object = kube::body_or_throw(std::move(answer));
  if (context_.dry_run() == cli::DryRun::kServer) co_return true;
  if (workload.resource != &kube::kDeployments) {
    if (!wish_.value) co_await finish_or_tell(workload);
    co_return true;
  }
  std::optional<Error> trouble;
  try {
    co_await finish_or_tell(workload);
  } catch (const ReplicaSetRefused& error) {
    trouble = error;
  }
  if (!trouble) co_return true;
  std::optional<Error> still;
  try {
    co_await take_back(workload, before);
  } catch (const Error& error) {
    still = error;
  }
  if (still) throw left(workload, *still);
  throw Error(trouble->status(),
              fmt::format("{} was left as it was: {}", workload.place(), trouble->what()));
}

Task<> InPlace::finish(Workload& workload) {
  std::optional<Error> trouble;
  try {
    co_await finish_or_tell(workload);
  } catch (const ReplicaSetRefused& error) {
    trouble = error;
  }
  if (trouble) throw left(workload, *trouble);
}

Task<> InPlace::finish_or_tell(Workload& workload) {
  bool deployment = workload.resource == &kube::kDeployments;
  Task<> task = deployment ? finish_deployment(workload) : finish_other(workload);
  co_await or_tell(workload, std::move(task));
}

Task<> InPlace::put_back(Workload& workload) {
  Task<> task = write_back(workload);
  co_await or_tell(workload, std::move(task));
}

// Whoever reads of an error has to know in which state the object is.
Task<> InPlace::or_tell(Workload& workload, Task<> task) {
  std::string why;
  try {
    co_await std::move(task);
    co_return;
  } catch (const kube::ApiError& error) {
    if (error.answer().not_found()) throw gone(workload);
    why = error.what();
  } catch (const http::TransportError& error) {
    why = error.what();
  } catch (const TimedOut& error) {
    why = error.what();
  }
  throw left(workload, failed(why));
}

// The ReplicaSet's template is still the old one, so its controller finds the two equal again.
Task<> InPlace::take_back(Workload& workload, const Json& before) {
  for (int i = 0; i < kMaxTries; ++i) {
    co_await reread(workload);
    Json patch = cni::put_back_patch(workload.object);
    const Json& old_selector = kube::at(before, "/spec/template/spec/nodeSelector");
    bool had = old_selector.is_object() && old_selector.contains(wish_.key);
    patch["spec"]["template"]["spec"]["nodeSelector"][wish_.key] =
        had ? old_selector[wish_.key] : Json();
    for (const char* key : {cni::kPinnedAnnotation, cni::kPinnedOverAnnotation}) {
      auto value = kube::annotation_of(before, key);
      patch["metadata"]["annotations"][key] = value.empty() ? Json() : Json(value);
    }
    auto answer = co_await client_.shielded().patch(*workload.resource, kube::namespace_of(before),
                                                    kube::name_of(before), kube::PatchType::kMerge,
                                                    std::move(patch));
    if (answer.conflict()) continue;
    workload.object = kube::body_or_throw(std::move(answer));
    co_return;
  }
  throw failed("somebody changes it all the time");
}

// Null when the Deployment's template was changed by somebody else while it was paused.
Task<Json> InPlace::current_replica_set(const Workload& workload) {
  auto sets = co_await cni::read_replica_sets(client_.shielded(), workload.object);
  cni::Surroundings around;
  for (const auto& set : sets) around.replica_sets.push_back(&set);
  const Json* live = cni::only_live_replica_set(around);
  bool same = live && cni::same_but_for_pin(kube::at(*live, "/spec/template"),
                                            kube::at(workload.object, "/spec/template"), wish_.key);
  co_return same ? *live : Json();
}

Task<> InPlace::align_replica_set(const Workload& workload, const Json& replica_set) {
  kube::Answer answer;
  for (int i = 0; i < kMaxTries;
       ++i) {  // it carries no resourceVersion, so it may simply be sent again
    answer = co_await client_.shielded().patch(
        kube::kReplicaSets, kube::namespace_of(replica_set), kube::name_of(replica_set),
        kube::PatchType::kMerge, cni::replica_set_patch(replica_set, workload.object, wish_.key));
    if (!answer.conflict()) break;
  }
  bool denied = answer.status >= 400 && answer.status < 500 && !answer.too_many_requests();
  if (denied) throw ReplicaSetRefused(kube::ApiError(std::move(answer)));
  kube::body_or_throw(std::move(answer));
}

Task<> InPlace::finish_deployment(Workload& workload) {
  Json current;
  int tries = 0;
  for (bool same = false; !same;) {
    if (++tries > kMaxTries) throw left(workload, failed("somebody else changes it all the time"));
    // Each time anew: who took the pin off again, or set another, restarts nothing either.
    current = co_await current_replica_set(workload);
    if (current.is_null()) {
      co_await let_roll(workload);
      co_return;
    }
    co_await align_replica_set(workload, current);
    same = co_await wait_observed(workload, /*updated=*/true);
  }
  co_await write_back(workload);
  bool same = co_await wait_observed(workload, /*updated=*/true);
  if (!same) {  // a change of somebody else's, which rolls as it would have without us
    rolling_.insert(kube::uid_of(workload.object));
    co_return;
  }
  try {
    co_await align_replica_set(workload, current);  // its controller copied our note there
  } catch (const ReplicaSetRefused&) {
    // It was deleted or replaced meanwhile, and with it the note.
  }
}

Task<> InPlace::let_roll(Workload& workload) {
  context_.warn(workload.place() +
                " was changed by somebody else meanwhile: that change is rolled out now");
  co_await reread(workload);
  co_await write_back(workload);
  rolling_.insert(kube::uid_of(workload.object));
}

bool InPlace::rolls_after_all(const Workload& workload) const {
  return rolling_.contains(kube::uid_of(workload.object));
}

Task<> InPlace::finish_other(Workload& workload) {
  if (cni::remembered(workload.object).is_null()) co_return;
  bool same = co_await wait_observed(workload, /*updated=*/false);
  if (!same) {
    co_await let_roll(workload);
    co_return;
  }
  if (cni::all_updated(workload)) {
    co_await write_back(workload);
    co_return;
  }
  if (wish_.value) co_return;  // the pods are where they shall be; the strategy waits for them
  throw refused(fmt::format(
      "{} is unpinned but keeps updateStrategy OnDelete, for some of its pods were born with the "
      "pin and would be restarted: 'kubectl cni pin --remove --rollout' does so",
      workload.place()));
}

Task<> InPlace::write_back(Workload& workload) {
  for (int i = 0; i < kMaxTries; ++i) {
    auto answer = co_await client_.shielded().patch(
        *workload.resource, kube::namespace_of(workload.object), kube::name_of(workload.object),
        kube::PatchType::kMerge, cni::put_back_patch(workload.object));
    if (!answer.conflict()) {
      workload.object = kube::body_or_throw(std::move(answer));
      co_return;
    }
    co_await reread(workload);
    if (cni::remembered(workload.object).is_null()) co_return;  // another run did it
  }
  throw left(workload, failed("somebody else changes it all the time"));
}

// Until its controller has seen the object as it is now, and, if `updated`, finds all pods to be of
// its template. False as soon as somebody else has changed that template, and the object is as
// they left it. Throws Error when it was deleted.
Task<bool> InPlace::wait_observed(Workload& workload, bool updated) {
  auto key = kube::key_of(workload.object);
  auto uid = kube::uid_of(workload.object);
  long generation = kube::number_at(workload.object, "/metadata/generation");
  const Json wanted = kube::at(workload.object, "/spec/template");
  Json seen;
  bool same = true;
  kube::Tracker::Condition condition = [&](const kube::Snapshot& snapshot) {
    auto found = snapshot.find(key);
    if (found == snapshot.end() || kube::uid_of(found->second) != uid) return true;
    const Json& object = found->second;
    if (kube::number_at(object, "/metadata/generation") < generation) return false;
    same = kube::at(object, "/spec/template") == wanted;
    bool observed = kube::number_at(object, "/status/observedGeneration") >= generation;
    if (same && (!observed || (updated && !cni::all_updated({workload.resource, object})))) {
      return false;
    }
    seen = object;
    return true;
  };
  auto deadline = soon();
  while (seen.is_null()) {
    try {
      co_await trackers_.of(*workload.resource)
          .wait_until(condition, deadline, http::OnInterrupt::kGoOn);
    } catch (const TimedOut&) {
      throw blocked(fmt::format(
          "{} is left {}: its controller has not taken notice of the change; running this again "
          "goes on",
          workload.place(), state_of(workload)));
    }
    if (!seen.is_null()) break;
    // Not in what the watch has seen so far: that may be from before it was created.
    auto answer = co_await client_.shielded().get(
        *workload.resource, kube::namespace_of(workload.object), kube::name_of(workload.object));
    if (answer.not_found()) throw gone(workload);
    if (kube::uid_of(kube::body_or_throw(std::move(answer))) != uid) throw gone(workload);
    http::Waiter pause(client_.loop(), Deadline::after(kPause), http::OnInterrupt::kGoOn);
    co_await pause;
  }
  workload.object = std::move(seen);
  co_return same;
}

Task<> InPlace::wait_seen(Workload& workload) {
  auto key = kube::key_of(workload.object);
  kube::Tracker::Condition seen = [&](const kube::Snapshot& snapshot) {
    auto found = snapshot.find(key);
    return found == snapshot.end() ||
           kube::number_at(found->second, "/status/observedGeneration") >=
               kube::number_at(workload.object, "/metadata/generation");
  };
  try {
    co_await trackers_.of(*workload.resource).wait_until(seen, soon());
  } catch (const TimedOut&) {
    throw blocked(workload.place() + ": its controller does not take notice of its last change");
  }
  co_await reread(workload);
}

Task<> InPlace::wait_settled(Workload& workload, const std::string& why) {
  context_.waiting(fmt::format("{}: {}", workload.place(), why));
  auto key = kube::key_of(workload.object);
  kube::Tracker::Condition condition = [&](const kube::Snapshot& snapshot) {
    auto found = snapshot.find(key);
    if (found == snapshot.end()) return true;
    Workload now{workload.resource, found->second};
    bool revisions = kube::text_at(now.object, "/status/currentRevision") ==
                     kube::text_at(now.object, "/status/updateRevision");
    bool single = workload.resource != &kube::kDeployments ||
                  kube::number_at(now.object, "/status/replicas") ==
                      kube::number_at(now.object, "/spec/replicas", 1);
    return cni::all_updated(now) && single &&
           (workload.resource != &kube::kStatefulSets || revisions);
  };
  try {
    co_await trackers_.of(*workload.resource).wait_until(condition, context_.deadline());
  } catch (const TimedOut&) {
    throw blocked(fmt::format("{} could not be pinned in place within {}: {}", workload.place(),
                              context_.timeout_text(), why));
  }
  co_await reread(workload);
}

}  // namespace kcni::pin
