#include "common/cni/services_apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include "common/cni/backup.h"
#include "common/cni/create_anew.h"
#include "common/cni/services_endpoints.h"
#include "common/cni/services_prepare.h"
#include "common/cni/services_restore.h"
#include "common/kube/watch.h"

namespace kcni::cni {

namespace {

using kube::Json;

constexpr int kMaxEdits = 5;

// Once a Service is deleted, a deadline that has nearly passed must not keep it from coming back.
constexpr Milliseconds kLastTry{2'000};

Error not_back(const Backup& backup, const Error& reason) {
  auto text = fmt::format(
      "{} was deleted and is not back as it was: {}; it is kept in {}, running again puts it back",
      place_of_service(backup.object), reason.what(), backup.secret.display());
  return {reason.status() == ExitStatus::kBlocked ? ExitStatus::kBlocked : ExitStatus::kFailed,
          text};
}

// Another run may have found the Service there, while our delete was on its way, and dropped the
// backup.
Task<> keep(kube::Client client, Backup backup) {
  try {
    auto there = co_await client.get(kube::kSecrets, backup.secret.ns, backup.secret.name);
    if (!there.not_found()) co_return;
    co_await save_backup(client, kube::kServices, backup.object, backup.companions);
  } catch (const Error&) {
    // What is said is that it is kept; there is no better place to say that it may not be.
  }
}

Json without_finalizers(Json service) {
  service["metadata"].erase("finalizers");
  return service;
}

// Where a person has changed it while its finalizers held it, or "". Null: not seen any more.
std::string edited_in(const Json& before, const Json& last) {
  if (last.is_null()) return "";
  auto was = without_finalizers(before), is = without_finalizers(last);
  auto where = service_difference(was, is);
  return where.empty() ? service_difference(is, was) : where;
}

// The status and the finalizers, which are being cleaned up, are those from before.
Json with_edit(Json before, const Json& last) {
  before["spec"] = kube::at(last, "/spec");
  for (const char* field : {"labels", "annotations", "ownerReferences"}) {
    before["metadata"].erase(field);
    const Json& now = kube::at(last, std::string("/metadata/") + field);
    if (!now.is_null()) before["metadata"][field] = now;
  }
  // The server takes a balancer's address in the status of no other type.
  bool balancer = kube::text_at(before, "/spec/type") == "LoadBalancer";
  if (!balancer && before.contains("status")) before["status"].erase("loadBalancer");
  return before;
}

Task<> take_edit(kube::Client client, Backup& backup, Json last, Notice notice) {
  auto where = edited_in(backup.object, last);
  if (where.empty()) co_return;
  backup.object = with_edit(std::move(backup.object), last);
  if (notice) {
    notice(
        fmt::format("{} was changed in {} while its delete was held back: it is made anew with "
                    "that",
                    place_of_service(backup.object), where));
  }
  try {
    backup.secret = co_await save_backup(client, kube::kServices, backup.object, backup.companions);
  } catch (const Error&) {
    // The one from before the edit is there.
  }
}

// The old one serves on. Whether or not it is gone in time, creating it is tried: nobody else will.
// Returns what was last seen of it, or null.
Task<Json> wait_deleted(kube::Client client, Backup backup, Notice notice) {
  if (notice) {
    notice(fmt::format("waiting: {} is being deleted, and serves on until its finalizers are off",
                       place_of_service(backup.object)));
  }
  kube::Query query;
  query.resource = &kube::kServices;
  query.ns = kube::namespace_of(backup.object);
  query.field_selector = "metadata.name=" + kube::name_of(backup.object);
  Json last;
  kube::Until gone = [&](const kube::Snapshot& snapshot) {
    for (const auto& [key, service] : snapshot) {
      if (kube::uid_of(service) != kube::uid_of(backup.object)) continue;
      last = service;
      return false;
    }
    return true;
  };
  try {
    co_await kube::list_then_watch(client, std::move(query), std::move(gone));
  } catch (const Error&) {
    // The create that comes next says what is wrong.
  }
  co_return last;
}

// From the delete's answer on. Held back, the old one serves on.
Task<Recreated> bring_back(kube::Client client, Deadline deadline, Prepared prepared,
                           bool held_back, Notice notice) {
  auto& backup = prepared.backup;
  auto deleted_at = Clock::now();
  std::optional<Error> trouble;
  try {
    if (held_back) {
      Json last = co_await wait_deleted(client.until(deadline), backup, notice);
      deleted_at = Clock::now();
      co_await take_edit(client.until(Deadline::after(kLastTry)), backup, std::move(last), notice);
    }
    auto restored = co_await restore_service(client, at_least(deadline, kLastTry), backup, notice);
    Recreated result;
    result.service = std::move(restored.service);
    result.absent = std::chrono::ceil<Milliseconds>(restored.back_at - deleted_at);
    result.ready_before = prepared.ready;
    result.old_uid = kube::uid_of(backup.object);
    auto rest = client.until(at_least(deadline, kTimeToComeBack));
    result.backup_kept = co_await drop_or_say(rest, backup.secret);
    co_return result;
  } catch (const ServiceDiffers& error) {  // which running again would not help
    trouble = failed(
        fmt::format("{}; as it was it is kept in {}: delete that when it is not wanted any more",
                    error.what(), backup.secret.display()));
  } catch (const Incomplete& error) {
    trouble = Error(error.status(), fmt::format("{}; it is kept in {}, running again puts it back",
                                                error.what(), backup.secret.display()));
  } catch (const Error& error) {
    trouble = not_back(backup, error);
  }
  co_await keep(client.until(Deadline::after(kTimeToComeBack)), backup);
  throw *trouble;
}

Error not_known(const Backup& backup, const std::string& reason) {
  return failed(
      fmt::format("whether {} was deleted is not known: {}; it is kept in {}, running again puts "
                  "right what is wrong",
                  place_of_service(backup.object), reason, backup.secret.display()));
}

Task<kube::Answer> delete_exactly(kube::Client client, Backup backup) {
  kube::DeleteOptions exactly;
  exactly.uid = kube::uid_of(backup.object);
  exactly.resource_version = kube::text_at(backup.object, "/metadata/resourceVersion");
  for (bool again = false;; again = true) {
    try {
      auto answer = co_await client.remove(kube::kServices, kube::namespace_of(backup.object),
                                           kube::name_of(backup.object), exactly);
      answer.sent_again |= again;
      co_return answer;
    } catch (const TimedOut& error) {
      // That of one request (--request-timeout): with preconditions it may be sent again.
      bool ended = client.deadline().passed() || client.loop().interrupted();
      if (ended) throw not_known(backup, error.what());
    } catch (const Error& error) {
      throw not_known(backup, error.what());
    }
  }
}

// Whatever stands between us and the server was told of a delete that it may not have heard of. The
// backup stays then.
enum class Deleting { kDone, kHeldBack, kChanged, kGoneBefore, kRefused };

Task<Deleting> judge_delete(kube::Client client, Backup backup, kube::Answer answer) {
  bool finalizers = !kube::at(answer.body, "/metadata/finalizers").empty();
  if (answer.ok()) co_return finalizers ? Deleting::kHeldBack : Deleting::kDone;
  if (answer.not_found()) {
    co_return answer.sent_again ? Deleting::kDone : Deleting::kGoneBefore;
  }
  if (!answer.sent_again && answer.conflict()) co_return Deleting::kChanged;
  if (!answer.sent_again && answer.status < 500) co_return Deleting::kRefused;
  kube::Answer now;
  try {
    now = co_await client.get(kube::kServices, kube::namespace_of(backup.object),
                              kube::name_of(backup.object));
  } catch (const Error& error) {
    throw not_known(backup, error.what());
  }
  if (now.not_found()) co_return Deleting::kDone;
  bool same = now.ok() && kube::uid_of(now.body) == kube::uid_of(backup.object);
  if (same && kube::terminating(now.body)) co_return Deleting::kHeldBack;
  if (same && answer.conflict()) co_return Deleting::kChanged;
  throw not_known(backup, answer.message());
}

// A Service that we have not deleted needs no backup. Another run may have deleted it, though, and
// depend on the one that was there before. Returns what is to be said of one that stays, or "".
Task<std::string> drop_unused(kube::Client client, BackupRef secret) {
  if (client.dry_run()) co_return "";
  if (secret.replaced()) {
    co_return fmt::format("; another run's backup of it stays in {}", secret.display());
  }
  auto kept = co_await drop_or_say(std::move(client), std::move(secret));
  co_return kept.empty() ? "" : "; " + kept;
}

Task<> leave_alone(kube::Client client, Backup backup, Error reason) {
  auto kept = co_await drop_unused(std::move(client), backup.secret);
  throw Error(reason.status(), fmt::format("{} left alone: {}{}", place_of_service(backup.object),
                                           reason.what(), kept));
}

// The Service after somebody changed it. Throws when it may not be recreated any more.
Task<Json> read_again(kube::Client client, ServiceConsent consent, Backup backup) {
  std::optional<Error> trouble;
  kube::Answer answer;
  try {
    answer = co_await client.get(kube::kServices, kube::namespace_of(backup.object),
                                 kube::name_of(backup.object));
    if (!answer.ok() && !answer.not_found()) trouble = kube::ApiError(answer);
  } catch (const Error& error) {
    trouble = error;
  }
  if (trouble) co_await leave_alone(client, backup, *trouble);
  if (answer.not_found()) co_await leave_alone(client, backup, failed(kGoneBefore));
  Json now = std::move(answer.body);
  if (kube::uid_of(now) != kube::uid_of(backup.object)) {
    throw failed(
        fmt::format("{} was deleted and made anew by somebody else meanwhile; as it was "
                    "before it is kept in {}",
                    place_of_service(now), backup.secret.display()));
  }
  auto reason = why_left_alone(now, consent);
  if (reason) co_await leave_alone(client, backup, refused(*reason));
  co_return now;
}

// Prepares it once more after an edit; `before` is this run's own backup from the last time, if
// any.
Task<Prepared> prepare_again(kube::Client client, RecreateOptions options, Json service,
                             std::optional<BackupRef> before) {
  std::optional<Error> trouble;
  std::exception_ptr whole;
  try {
    Prepared prepared = co_await prepare_service(client, options.backup_dir, std::move(service));
    auto& saved = prepared.backup.secret;
    bool own = before && saved.replaced() && saved.replaced_writer == before->writer;
    if (own) saved.replaced_version = before->replaced_version;
    co_return prepared;
  } catch (const Error& error) {
    trouble = error;
    whole = std::current_exception();
  }
  std::string kept;
  if (before) kept = co_await drop_unused(client.shielded(), *before);
  if (kept.empty()) std::rethrow_exception(whole);
  throw Error(trouble->status(), trouble->what() + kept);
}

}  // namespace

Task<Recreated> recreate_service(kube::Client client, RecreateOptions options, Json service) {
  auto deadline = Deadline::after(options.timeout);
  auto bounded = client.until(deadline);
  auto shielded = client.shielded();
  std::optional<BackupRef> before;
  for (int edits = 0; edits < kMaxEdits; ++edits) {
    Prepared prepared = co_await prepare_again(bounded, options, service, before);
    const auto& backup = prepared.backup;
    before = backup.secret;
    auto last = at_least(deadline, kTimeToComeBack);
    auto safe = shielded.until(last);
    auto answer = co_await delete_exactly(safe, backup);
    auto how = co_await judge_delete(safe, backup, answer);
    if (how == Deleting::kDone || how == Deleting::kHeldBack) {
      Recreated tried;
      tried.service = service;
      if (client.dry_run()) co_return tried;
      bool held_back = how == Deleting::kHeldBack;
      co_return co_await bring_back(shielded, last, std::move(prepared), held_back, options.notice);
    }
    if (how == Deleting::kGoneBefore) co_await leave_alone(safe, backup, failed(kGoneBefore));
    if (how == Deleting::kRefused) {
      co_await leave_alone(safe, backup, failed(kube::ApiError(std::move(answer)).what()));
    }
    service = co_await read_again(safe, options.consent, backup);
  }
  auto rest = shielded.until(at_least(deadline, kTimeToComeBack));
  auto kept = co_await drop_unused(rest, *before);
  throw blocked(
      fmt::format("{} is changed again and again: left alone{}", place_of_service(service), kept));
}

namespace {

/// What the workers share; lives in recreate_services().
struct Work {
  kube::Client client;
  RecreateOptions options;
  std::vector<Json> services;
  RecreateObserver observer;
  std::size_t next = 0;
};

Task<> work_off(Work& work) {
  while (work.next < work.services.size()) {
    Json service = std::move(work.services[work.next++]);
    try {
      Recreated result = co_await recreate_service(work.client, work.options, std::move(service));
      work.observer.done(result);
      if (!result.backup_kept.empty()) {
        work.observer.failed(failed(fmt::format(
            "{} is recreated; {}", place_of_service(result.service), result.backup_kept)));
      }
      if (work.client.dry_run()) continue;
      auto bounded = work.client.until(Deadline::after(work.options.timeout));
      co_await wait_for_endpoints(bounded, result.service, result.ready_before, result.old_uid);
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      work.observer.failed(error);
    }
  }
}

}  // namespace

Task<> recreate_services(kube::Client client, RecreateOptions options, std::vector<Json> services,
                         RecreateObserver observer) {
  auto workers =
      std::min<std::size_t>(static_cast<std::size_t>(options.concurrency), services.size());
  Work work{std::move(client), std::move(options), std::move(services), std::move(observer)};
  std::vector<Task<>> tasks;
  for (std::size_t i = 0; i < workers; ++i) tasks.push_back(work_off(work));
  co_await all(std::move(tasks));
}

}  // namespace kcni::cni
