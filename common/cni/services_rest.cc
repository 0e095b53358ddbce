#include "common/cni/services_rest.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "common/cni/services_recreate.h"

namespace kcni::cni {

namespace {

using kube::Json;

// For so long nothing may vanish any more: the endpoints controller deletes the Endpoints of a
// Service that it sees deleted, whether or not it is back by then.
constexpr Milliseconds kQuiet{2000};
constexpr Milliseconds kBetweenLooks{250};

// What the control plane may delete after the Service: legacy Endpoints, and slices owned by it.
bool may_vanish(const Json& companion, const std::string& old_uid) {
  return kube::text_at(companion, "/kind") == "Endpoints" || has_owner(companion, old_uid);
}

Task<> adopt(kube::Client client, const kube::Resource& resource, Json wanted) {
  Json patch;
  patch["metadata"]["ownerReferences"] = kube::at(wanted, "/metadata/ownerReferences");
  auto answer = co_await client.patch(resource, kube::namespace_of(wanted), kube::name_of(wanted),
                                      kube::PatchType::kMerge, std::move(patch));
  if (!answer.not_found()) kube::body_or_throw(std::move(answer));
}

// The garbage collector may have taken the old owner off already, where there are others.
bool owners_are_there(const Json& found, const Json& wanted) {
  const Json& owners = kube::at(wanted, "/metadata/ownerReferences");
  return std::all_of(owners.begin(), owners.end(), [&](const Json& owner) {
    return has_owner(found, kube::text_at(owner, "/uid"));
  });
}

// Creates it when it is not there: true; gives it its new owner when that is not noted.
Task<bool> put_back(kube::Client client, Json companion, std::string old_uid, std::string new_uid) {
  const auto* resource = kube::resource_of(companion);
  if (!resource) co_return false;
  auto ns = kube::namespace_of(companion);
  auto found = co_await client.get(*resource, ns, kube::name_of(companion));
  Json wanted = recreatable_companion(companion, old_uid, new_uid);
  if (found.not_found()) {
    auto made = co_await client.create(*resource, ns, std::move(wanted));
    if (made.conflict()) co_return false;
    kube::body_or_throw(std::move(made));
    co_return true;
  }
  Json there = kube::body_or_throw(std::move(found));
  if (!owners_are_there(there, wanted)) co_await adopt(client, *resource, std::move(wanted));
  co_return false;
}

// True when it vanished within the quiet time, which begins when it was first seen and ends when it
// was seen again. Asked again and again, for a watch that breaks sees nothing, and who may write it
// may perhaps not watch it.
Task<bool> vanishes(kube::Client client, Json companion) {
  const auto* resource = kube::resource_of(companion);
  std::optional<Deadline> quiet;
  for (;;) {
    bool last = quiet && quiet->passed();
    auto answer =
        co_await client.get(*resource, kube::namespace_of(companion), kube::name_of(companion));
    if (answer.not_found()) co_return true;
    kube::body_or_throw(std::move(answer));
    if (last) co_return false;
    if (!quiet) quiet = Deadline::after(kQuiet);
    co_await client.loop().sleep(kBetweenLooks, client.on_interrupt());
  }
}

// Whether it was missing.
Task<std::size_t> put_back_for_good(kube::Client client, Json companion, std::string old_uid,
                                    std::string new_uid) {
  constexpr int kMostTimes = 5;
  bool watched = kube::resource_of(companion) && may_vanish(companion, old_uid);
  std::size_t missing = 0;
  for (int i = 0; i < kMostTimes; ++i) {
    bool made = co_await put_back(client, companion, old_uid, new_uid);
    if (made) missing = 1;
    if (!watched) co_return missing;
    bool again = co_await vanishes(client, companion);
    if (!again) co_return missing;
  }
  throw failed(fmt::format("somebody keeps deleting {} {}", kube::text_at(companion, "/kind"),
                           kube::key_of(companion)));
}

// Only onto what was read: the platform may be writing just now, and what it writes is newer.
Task<kube::Answer> write_status(kube::Client client, Json service, Json status) {
  Json patch;
  patch["metadata"]["resourceVersion"] = kube::text_at(service, "/metadata/resourceVersion");
  patch["status"] = std::move(status);
  co_return co_await client.patch_status(kube::kServices, kube::namespace_of(service),
                                         kube::name_of(service), kube::PatchType::kMerge,
                                         std::move(patch));
}

Task<> put_back_status(kube::Client client, Json status, Json new_service) {
  constexpr int kMostTimes = 5;
  if (status.is_null()) co_return;
  for (int i = 0; i < kMostTimes; ++i) {
    if (!recreatable_status(new_service).is_null()) co_return;
    auto answer = co_await write_status(client, new_service, status);
    if (!answer.conflict()) kube::body_or_throw(std::move(answer));
    if (answer.ok()) co_return;
    auto again = co_await client.get(kube::kServices, kube::namespace_of(new_service),
                                     kube::name_of(new_service));
    new_service = kube::body_or_throw(std::move(again));
  }
  throw failed(fmt::format("{} is changed again and again: its status is not written",
                           kube::key_of(new_service)));
}

Task<> check_status_writable(kube::Client trying, Json service) {
  Json status = recreatable_status(service);
  if (status.is_null()) co_return;
  auto answer = co_await write_status(trying, std::move(service), std::move(status));
  if (!answer.not_found() && !answer.conflict()) kube::body_or_throw(std::move(answer));
}

// What put_back() may have to do: create it, or note the new owner on one that has others.
Task<> check_companion_writable(kube::Client trying, Json companion, std::string old_uid) {
  const auto* resource = kube::resource_of(companion);
  if (!resource || !may_vanish(companion, old_uid)) co_return;
  auto answer = co_await trying.create(*resource, kube::namespace_of(companion),
                                       recreatable_companion(companion, "", ""));
  if (!answer.conflict()) kube::body_or_throw(std::move(answer));
  if (has_owner(companion, old_uid)) co_await adopt(trying, *resource, companion);
}

std::string display_of(const Json& companion) {
  const auto* resource = kube::resource_of(companion);
  return resource ? resource->display(kube::name_of(companion)) : kube::name_of(companion);
}

Task<std::vector<std::string>> put_all_back(kube::Client client, const Backup& backup,
                                            Json new_service) {
  std::optional<Error> trouble;
  try {
    co_await put_back_status(client, recreatable_status(backup.object), new_service);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    trouble = error;  // no reason to leave out the rest
  }
  std::vector<Task<std::size_t>> tasks;
  for (const auto& companion : backup.companions) {
    tasks.push_back(put_back_for_good(client, companion, kube::uid_of(backup.object),
                                      kube::uid_of(new_service)));
  }
  auto was_missing = co_await all(std::move(tasks));
  std::vector<std::string> names;
  for (std::size_t i = 0; i < was_missing.size(); ++i) {
    if (was_missing[i] > 0) names.push_back(display_of(backup.companions[i]));
  }
  if (trouble) throw *trouble;
  co_return names;
}

}  // namespace

bool namespace_ends(const Error& error) {
  if (const auto* incomplete = dynamic_cast<const Incomplete*>(&error)) {
    return incomplete->namespace_ends();
  }
  const auto* api = dynamic_cast<const kube::ApiError*>(&error);
  return api && api->answer().namespace_terminating();
}

Incomplete::Incomplete(const Json& service, const Error& reason)
    : ServiceIsThere(reason.status(),
                     fmt::format("{} is there, but not all of what belongs to it: {}",
                                 place_of_service(service), reason.what())),
      namespace_ends_(cni::namespace_ends(reason)) {}

Task<> check_rest_writable(kube::Client client, Backup backup) {
  auto trying = client.trying().quiet();
  co_await check_status_writable(trying, backup.object);
  for (const auto& companion : backup.companions) {
    co_await check_companion_writable(trying, companion, kube::uid_of(backup.object));
  }
}

Task<std::vector<std::string>> put_back_rest(kube::Client client, Backup backup, Json new_service) {
  try {
    co_return co_await put_all_back(client.quiet(), backup, std::move(new_service));
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    throw Incomplete(backup.object, error);
  }
}

Task<std::vector<std::string>> missing_rest(kube::Client client, Backup backup) {
  std::vector<std::string> names;
  auto quiet = client.quiet();
  for (const auto& companion : backup.companions) {
    const auto* resource = kube::resource_of(companion);
    if (!resource) continue;
    auto answer =
        co_await quiet.get(*resource, kube::namespace_of(companion), kube::name_of(companion));
    if (answer.not_found()) {
      names.push_back(display_of(companion));
    } else {
      kube::body_or_throw(std::move(answer));
    }
  }
  co_return names;
}

}  // namespace kcni::cni
