// mend() of backup.h: what an interrupted run left deleted comes back.
#include <fmt/format.h>

#include <optional>
#include <utility>

#include "common/cni/backup.h"
#include "common/cni/create_anew.h"
#include "common/cni/names.h"
#include "common/cni/pods_recreate.h"
#include "common/cni/services_recreate.h"
#include "common/cni/services_restore.h"

namespace kcni::cni {

namespace {

using kube::Json;

constexpr Milliseconds kPatience{5'000};

/// One backup's mending.
struct Job {
  kube::Client client;
  MendOptions options;
  Backup backup;
  const kube::Resource* resource = nullptr;

  std::string name() const { return kube::name_of(backup.object); }
  std::string ns() const { return kube::namespace_of(backup.object); }
  std::string display() const { return resource->display(name()); }
};

std::string difference_from(const Job& job, const Json& found) {
  return job.resource == &kube::kPods ? pod_difference(job.backup.object, found, job.options.key)
                                      : service_difference(job.backup.object, found);
}

Task<Json> restore_pod(const Job& job) {
  Json wanted = recreatable_pod(job.backup.object, job.options.key);
  Difference difference = [job](const Json& found) { return difference_from(job, found); };
  co_return co_await create_anew(job.client, job.client.deadline(), kube::kPods, std::move(wanted),
                                 std::move(difference));
}

// Of a backup that stays although its object is there.
void warn_of(const std::string& kept, const Job& job, MendReport& report) {
  if (kept.empty()) return;
  report.warnings.push_back(
      fmt::format("{} in namespace {} is there; {}", job.display(), job.ns(), kept));
}

Task<> drop_or_warn(const Job& job, MendReport& report) {
  auto kept = co_await drop_or_say(job.client, job.backup.secret);
  warn_of(kept, job, report);
}

std::string mended_line(const Job& job) {
  return fmt::format("{} {} from a backup left by an interrupted run", job.display(),
                     job.options.dry_run ? "would be recreated" : "recreated");
}

Task<bool> is_gone_in_time(const Job& job) {
  auto client = job.client;
  if (job.resource != job.options.insists_on) client = client.until(Deadline::after(kPatience));
  try {
    co_await wait_gone(client, *job.resource, job.ns(), job.name(),
                       kube::uid_of(job.backup.object));
    co_return true;
  } catch (const TimedOut&) {
    co_return false;
  }
}

// The object is gone, or on its way.
Task<> restore(Job job, MendReport& report) {
  Json made = job.backup.object;
  if (!job.options.dry_run) {
    if (job.options.progress) {
      job.options.progress(
          fmt::format("putting back {} in namespace {}, left deleted by an "
                      "interrupted run",
                      job.display(), job.ns()));
    }
    bool gone = co_await is_gone_in_time(job);
    if (!gone) {
      report.open.push_back(fmt::format(
          "{} in namespace {}, which an interrupted run took away, is still being deleted; it is "
          "kept in {}, from which a later run puts it back",
          job.display(), job.ns(), job.backup.secret.display()));
      co_return;
    }
    if (job.resource == &kube::kPods) {
      made = co_await restore_pod(job);
    } else {
      auto restored = co_await restore_service(job.client, job.client.deadline(), job.backup,
                                               job.options.progress);
      made = std::move(restored.service);
    }
    co_await drop_or_warn(job, report);
  }
  report.mended.push_back(mended_line(job));
  report.objects.push_back(std::move(made));
}

// Never deleted, so the backup goes. Another run may have written it just now, though, and delete
// the object next: the second look is for that.
Task<> forget(Job job, MendReport& report) {
  if (job.options.dry_run) co_return;
  auto kept = co_await drop_or_say(job.client, job.backup.secret);
  auto answer = co_await job.client.get(*job.resource, job.ns(), job.name());
  bool same = answer.ok() && kube::uid_of(answer.body) == kube::uid_of(job.backup.object);
  if (!answer.not_found() && !(same && kube::terminating(answer.body))) {
    warn_of(kept, job, report);
    co_return;
  }
  job.backup.secret =
      co_await save_backup(job.client, *job.resource, job.backup.object, job.backup.companions);
  co_await restore(std::move(job), report);
}

// Another object has the name: the new one of a run that could not drop its backup any more, or
// somebody else's.
Task<> settle(Job job, Json found, MendReport& report) {
  auto where = difference_from(job, found);
  if (!where.empty()) {
    report.warnings.push_back(fmt::format(
        "{} in namespace {} is not what an interrupted run deleted (it differs in {}): that is "
        "kept in {}; delete it when it is not wanted any more",
        job.display(), job.ns(), where, job.backup.secret.display()));
    co_return;
  }
  std::vector<std::string> missing;
  bool tries = job.options.dry_run, whole = job.resource != &kube::kServices;
  if (!whole && tries) missing = co_await missing_rest(job.client, job.backup);
  if (!whole && !tries) {
    missing = co_await put_back_rest(job.client, job.backup, std::move(found));
  }
  if (!missing.empty()) {
    report.completed.push_back(completed_line(job.backup.object, missing, tries));
  }
  if (tries) co_return;
  co_await drop_or_warn(job, report);
}

Task<> mend_job(Job job, MendReport& report) {
  auto answer = co_await job.client.get(*job.resource, job.ns(), job.name());
  if (answer.not_found()) {
    co_await restore(std::move(job), report);
    co_return;
  }
  Json found = kube::body_or_throw(std::move(answer));
  if (kube::uid_of(found) != kube::uid_of(job.backup.object)) {
    co_await settle(std::move(job), std::move(found), report);
  } else if (kube::terminating(found)) {
    co_await restore(std::move(job), report);
  } else {
    co_await forget(std::move(job), report);
  }
}

Job make_job(kube::Client client, const MendOptions& options, const Json& secret) {
  Job job{std::move(client), options, read_backup(secret), nullptr};
  job.resource = kube::resource_of(job.backup.object);
  if (job.resource != &kube::kPods && job.resource != &kube::kServices) {
    throw failed(fmt::format("{} keeps a {}, which this version cannot put back",
                             job.backup.secret.display(),
                             kube::text_at(job.backup.object, "/kind")));
  }
  return job;
}

Task<> mend_secret(kube::Client client, MendOptions options, Json secret, MendReport& report) {
  std::string what =
      fmt::format("{} in namespace {}", kube::kSecrets.display(kube::name_of(secret)),
                  kube::namespace_of(secret));
  std::string kept = what;
  try {
    Job job = make_job(std::move(client), options, secret);
    what = fmt::format("{} in namespace {}", job.display(), job.ns());
    co_await mend_job(std::move(job), report);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    bool there = dynamic_cast<const ServiceIsThere*>(&error) != nullptr;
    auto line = there ? fmt::format("{}; it is kept in {}", error.what(), kept)
                      : fmt::format(
                            "{} was deleted by an interrupted run and could not be put "
                            "back: {}",
                            what, error.what());
    if (namespace_ends(error)) {
      report.warnings.push_back(line);
    } else {
      report.errors.emplace_back(error.status(), line);
    }
  }
}

// nullopt: not allowed.
Task<std::optional<kube::List>> list_backups(kube::Client client, std::string ns) {
  kube::Query query;
  query.resource = &kube::kSecrets;
  query.ns = std::move(ns);
  query.label_selector = fmt::format("{}=true", kBackupLabel);
  try {
    co_return co_await client.list(std::move(query));
  } catch (const kube::ApiError& error) {
    if (error.answer().status != 403) throw;
  }
  co_return std::nullopt;
}

}  // namespace

Task<MendReport> mend(kube::Client client, MendOptions options) {
  MendReport report;
  auto list = co_await list_backups(client, "");
  if (!list && !options.ns.empty()) list = co_await list_backups(client, options.ns);
  if (!list && !options.makes_backups) co_return report;
  if (!list) {
    report.warnings.push_back(
        "no right to list Secrets: backups of an interrupted run, if any, were not looked for");
    co_return report;
  }
  std::vector<Task<>> tasks;
  for (auto& secret : list->items) {
    tasks.push_back(mend_secret(client, options, std::move(secret), report));
  }
  co_await all(std::move(tasks));
  co_return report;
}

}  // namespace kcni::cni
