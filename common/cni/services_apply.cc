#include "common/cni/services_apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include "common/cni/backup.h"
#include "common/cni/backup_file.h"
#include "common/cni/create_anew.h"
#include "common/cni/services_endpoints.h"
#include "common/cni/services_restore.h"

namespace kcni::cni {

namespace {

using kube::Json;

constexpr int kMaxEdits = 5;

// Once a Service is deleted, a deadline that has nearly passed must not keep it from coming back.
constexpr Milliseconds kLastTry{2'000};

/// A backup, and how many addresses were ready when it was made.
struct Prepared {
  Backup backup;
  std::size_t ready = 0;
};

// Slices that no controller will write anew and, without a selector, the legacy Endpoints.
Task<std::vector<Json>> companions_of(kube::Client client, Json service, std::vector<Json> slices) {
  auto ns = kube::namespace_of(service);
  auto name = kube::name_of(service);
  std::vector<Json> companions;
  for (auto& slice : slices) {
    if (written_by_hand(slice)) companions.push_back(std::move(slice));
  }
  if (kube::at(service, "/spec/selector").empty()) {
    auto quiet = client.quiet();
    auto endpoints = co_await quiet.get(kube::kEndpoints, ns, name);
    if (!endpoints.not_found()) {
      companions.push_back(kube::body_or_throw(std::move(endpoints)));
    }
  }
  for (auto& companion : companions) companion["metadata"].erase("managedFields");
  co_return companions;
}

Task<Prepared> back_up(kube::Client client, RecreateOptions options, Json service) {
  Prepared prepared;
  auto& backup = prepared.backup;
  backup.object = service;
  auto slices = co_await slices_of(client, service);
  prepared.ready = ready_addresses(slices);
  backup.companions = co_await companions_of(client, service, std::move(slices));
  if (client.dry_run()) co_return prepared;
  if (!options.backup_dir.empty()) {
    write_backup_file(options.backup_dir, backup, recreatable_service(service));
  }
  backup.secret = co_await save_backup(client, kube::kServices, service, backup.companions);
  co_return prepared;
}

Error not_back(const Backup& backup, const Error& reason) {
  auto text = fmt::format(
      "{} was deleted and is not back as it was: {}; it is kept in {}, running again puts it back",
      place_of_service(backup.object), reason.what(), backup.secret.display());
  return {reason.status() == ExitStatus::kBlocked ? ExitStatus::kBlocked : ExitStatus::kFailed,
          text};
}

// Whether or not it is gone by then, creating it is tried: nobody else will.
Task<> wait_deleted(kube::Client client, Backup backup) {
  try {
    co_await wait_gone(client, kube::kServices, kube::namespace_of(backup.object),
                       kube::name_of(backup.object), kube::uid_of(backup.object));
  } catch (const Error&) {
  }
}

// From the delete's answer on. Held back, the old one serves on.
Task<Recreated> bring_back(kube::Client client, Deadline deadline, Prepared prepared,
                           bool held_back, Notice notice) {
  const auto& backup = prepared.backup;
  auto deleted_at = Clock::now();
  try {
    if (held_back) {
      if (notice) {
        notice(
            fmt::format("waiting: {} is being deleted, and serves on until its finalizers are off",
                        place_of_service(backup.object)));
      }
      co_await wait_deleted(client.until(deadline), backup);
      deleted_at = Clock::now();
    }
    Recreated result;
    auto last_try = at_least(deadline, kLastTry);
    result.service = co_await restore_service(client, last_try, backup, notice);
    result.absent = std::chrono::ceil<Milliseconds>(Clock::now() - deleted_at);
    result.ready_before = prepared.ready;
    result.old_uid = kube::uid_of(backup.object);
    auto rest = client.until(at_least(deadline, kTimeToComeBack));
    co_await put_back_rest(rest, backup, result.service);
    result.backup_kept = co_await drop_or_say(rest, backup.secret);
    co_return result;
  } catch (const Incomplete& error) {
    throw Error(error.status(), fmt::format("{}; it is kept in {}, running again puts it back",
                                            error.what(), backup.secret.display()));
  } catch (const Error& error) {
    throw not_back(backup, error);
  }
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
  try {
    co_return co_await client.remove(kube::kServices, kube::namespace_of(backup.object),
                                     kube::name_of(backup.object), exactly);
  } catch (const Error& error) {
    throw not_known(backup, error.what());
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

constexpr const char* kGoneBefore = "somebody else deleted it meanwhile";

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
  auto answer = co_await client.get(kube::kServices, kube::namespace_of(backup.object),
                                    kube::name_of(backup.object));
  if (answer.not_found()) co_await leave_alone(client.shielded(), backup, failed(kGoneBefore));
  Json now = kube::body_or_throw(std::move(answer));
  if (kube::uid_of(now) != kube::uid_of(backup.object)) {
    throw failed(
        fmt::format("{} was deleted and made anew by somebody else meanwhile; as it was "
                    "before it is kept in {}",
                    place_of_service(now), backup.secret.display()));
  }
  auto reason = why_left_alone(now, consent);
  if (reason) co_await leave_alone(client.shielded(), backup, refused(*reason));
  co_return now;
}

Task<> require_creatable(kube::Client client, Json service) {
  std::string trouble;
  try {
    bool there = co_await check_creatable(client, kube::kServices, recreatable_service(service));
    if (there) co_await check_status_writable(client, service);
    if (there) co_return;
    trouble = kGoneBefore;
  } catch (const kube::ApiError& error) {
    trouble = fmt::format("it could not be created anew: {}", error.what());
  }
  throw failed(fmt::format("{} left alone: {}", place_of_service(service), trouble));
}

// All that can be done before anything is touched.
Task<Prepared> prepare(kube::Client client, RecreateOptions options, Json service) {
  co_await require_creatable(client, service);
  std::string trouble;
  try {
    co_return co_await back_up(client, std::move(options), service);
  } catch (const Error& error) {
    if (error.status() != ExitStatus::kFailed) throw;
    trouble = error.what();
  }
  throw failed(fmt::format("{} left alone, no backup could be made: {}", place_of_service(service),
                           trouble));
}

// Prepares it once more after an edit; `before` is this run's own backup from the last time, if
// any.
Task<Prepared> prepare_again(kube::Client client, RecreateOptions options, Json service,
                             std::optional<BackupRef> before) {
  std::optional<Error> trouble;
  std::exception_ptr whole;
  try {
    Prepared prepared = co_await prepare(client, std::move(options), std::move(service));
    auto& saved = prepared.backup.secret;
    bool own = before && saved.replaced_version == before->resource_version;
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
    service = co_await read_again(bounded, options.consent, backup);
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
