#include "common/cni/services_apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "common/cni/backup.h"
#include "common/cni/backup_file.h"
#include "common/cni/create_anew.h"
#include "common/cni/services_restore.h"

namespace kcni::cni {

namespace {

using kube::Json;

constexpr int kMaxEdits = 5;

// Once a Service is deleted, a deadline that has nearly passed must not keep it from coming back.
constexpr Milliseconds kTimeToComeBack{15'000};
constexpr Milliseconds kLastTry{2'000};

std::string display(const Json& service) {
  return fmt::format("{} in namespace {}", kube::kServices.display(kube::name_of(service)),
                     kube::namespace_of(service));
}

Deadline at_least(Deadline deadline, Milliseconds least) {
  auto left = deadline.left();
  return left ? Deadline::after(std::max(*left, least)) : deadline;
}

// Slices that no controller will write anew and, without a selector, the legacy Endpoints.
Task<std::vector<Json>> companions_of(kube::Client client, Json service) {
  auto ns = kube::namespace_of(service);
  auto name = kube::name_of(service);
  std::vector<Json> companions;
  kube::Query query;
  query.resource = &kube::kEndpointSlices;
  query.ns = ns;
  query.label_selector = "kubernetes.io/service-name=" + name;
  auto slices = co_await client.list(std::move(query));
  for (auto& slice : slices.items) {
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

Task<Backup> back_up(kube::Client client, RecreateOptions options, Json service) {
  Backup backup;
  backup.object = service;
  backup.companions = co_await companions_of(client, service);
  if (client.dry_run()) co_return backup;
  if (!options.backup_dir.empty()) {
    write_backup_file(options.backup_dir, backup, recreatable_service(service));
  }
  backup.secret = co_await save_backup(client, kube::kServices, service, backup.companions);
  co_return backup;
}

Error not_back(const Backup& backup, const Error& reason) {
  auto text = fmt::format(
      "{} was deleted and is not back as it was: {}; it is kept in {}, running again puts it back",
      display(backup.object), reason.what(), backup.secret.display());
  return {reason.status() == ExitStatus::kBlocked ? ExitStatus::kBlocked : ExitStatus::kFailed,
          text};
}

// Whether or not it is gone by then, creating it is tried: nobody else will.
Task<> wait_deleted(kube::Client client, Backup backup) {
  try {
    co_await wait_gone(client, kube::kServices, kube::namespace_of(backup.object),
                       kube::name_of(backup.object), kube::uid_of(backup.object));
  } catch (const TimedOut&) {
  }
}

// From the delete's answer on.
Task<Recreated> bring_back(kube::Client client, Deadline deadline, Backup backup, bool held_back) {
  auto deleted_at = Clock::now();
  std::optional<Error> trouble;
  try {
    if (held_back) co_await wait_deleted(client.until(deadline), backup);
    Recreated result;
    auto last_try = at_least(deadline, kLastTry);
    result.service = co_await restore_service(client, last_try, backup);
    result.absent = std::chrono::ceil<Milliseconds>(Clock::now() - deleted_at);
    co_await put_back_companions(client, backup, result.service);
    co_await drop_backup(client, backup.secret);
    co_return result;
  } catch (const Error& error) {
    trouble = error;
  }
  throw not_back(backup, *trouble);
}

Task<kube::Answer> delete_exactly(kube::Client client, Backup backup) {
  kube::DeleteOptions exactly;
  exactly.uid = kube::uid_of(backup.object);
  exactly.resource_version = kube::text_at(backup.object, "/metadata/resourceVersion");
  try {
    co_return co_await client.remove(kube::kServices, kube::namespace_of(backup.object),
                                     kube::name_of(backup.object), exactly);
  } catch (const Error& error) {
    throw failed(
        fmt::format("whether {} was deleted is not known: {}; it is kept in {}, running "
                    "again puts right what is wrong",
                    display(backup.object), error.what(), backup.secret.display()));
  }
}

// The Service after somebody changed it. Throws when it may not be recreated any more.
Task<Json> read_again(kube::Client client, ServiceConsent consent, Backup backup) {
  auto answer = co_await client.get(kube::kServices, kube::namespace_of(backup.object),
                                    kube::name_of(backup.object));
  Json now = kube::body_or_throw(std::move(answer));
  if (kube::uid_of(now) != kube::uid_of(backup.object)) {
    throw failed(
        fmt::format("{} was deleted and made anew by somebody else meanwhile; as it was "
                    "before it is kept in {}",
                    display(now), backup.secret.display()));
  }
  auto reason = why_left_alone(now, consent);
  if (!reason) co_return now;
  if (!client.dry_run()) co_await drop_backup(client, backup.secret);
  throw refused(fmt::format("{} left alone: {}", display(now), *reason));
}

Task<> require_creatable(kube::Client client, Json service) {
  std::string trouble;
  try {
    bool there = co_await check_creatable(client, kube::kServices, recreatable_service(service));
    if (there) co_return;
    trouble = "somebody else deleted it meanwhile";
  } catch (const kube::ApiError& error) {
    trouble = fmt::format("it could not be created anew: {}", error.what());
  }
  throw failed(fmt::format("{} left alone: {}", display(service), trouble));
}

// All that can be done before anything is touched.
Task<Backup> prepare(kube::Client client, RecreateOptions options, Json service) {
  std::string trouble;
  try {
    co_await require_creatable(client, service);
    co_return co_await back_up(client, std::move(options), service);
  } catch (const kube::ApiError& error) {
    trouble = error.what();
  }
  throw failed(
      fmt::format("{} left alone, no backup could be made: {}", display(service), trouble));
}

// The server did not delete it, so it needs no backup.
Task<> leave_alone(kube::Client client, Backup backup, kube::Answer answer) {
  if (!client.dry_run()) co_await drop_backup(client, backup.secret);
  throw failed(fmt::format("{} left alone: {}", display(backup.object),
                           kube::ApiError(std::move(answer)).what()));
}

}  // namespace

Task<Recreated> recreate_service(kube::Client client, RecreateOptions options, Json service) {
  auto deadline = Deadline::after(options.timeout);
  auto bounded = client.until(deadline);
  auto shielded = client.shielded();
  for (int edits = 0; edits < kMaxEdits; ++edits) {
    Backup backup = co_await prepare(bounded, options, service);
    auto last = at_least(deadline, kTimeToComeBack);
    auto answer = co_await delete_exactly(shielded.until(last), backup);
    // Not found: our delete was sent twice over a broken connection, and came through at first.
    if (answer.ok() || answer.not_found()) {
      Recreated tried;
      tried.service = service;
      if (client.dry_run()) co_return tried;
      bool held_back = !kube::at(answer.body, "/metadata/finalizers").empty();
      co_return co_await bring_back(shielded, last, std::move(backup), held_back);
    }
    if (!answer.conflict()) co_await leave_alone(shielded, backup, std::move(answer));
    service = co_await read_again(bounded, options.consent, std::move(backup));
  }
  throw blocked(fmt::format("{} is changed again and again: left alone", display(service)));
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
