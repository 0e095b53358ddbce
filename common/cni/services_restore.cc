#include "common/cni/services_restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "common/base/text.h"
#include "common/cni/services_recreate.h"

namespace kcni::cni {

namespace {

using kube::Json;

// For so long nothing may vanish any more: the endpoints controller deletes the Endpoints of a
// Service that it sees deleted, whether or not it is back by then.
constexpr Milliseconds kQuiet{2000};
constexpr Milliseconds kBetweenLooks{250};

// To tell the user why, once it has taken too long.
constexpr Milliseconds kLookAround{10'000};

// The API server stores a Service and reserves its addresses in two steps; where a client that was
// killed has cut it off between them, only its repair loops put that right: for a clusterIP after a
// minute (kubernetes/pkg/registry/core/service/ipallocator/controller/repairip.go), for a port at
// the third round of three minutes (…/portallocator/controller/repair.go).
constexpr const char* kLeaked =
    " (no Service has it: a request that was cut off has left it reserved; the API server gives "
    "it back by itself, a clusterIP after a minute, a port after some ten: run this again then, or "
    "with --timeout 15m)";

std::string shared_address(const Json& service, const Json& wanted) {
  for (const auto& ip : kube::at(wanted, "/spec/clusterIPs")) {
    for (const auto& held : kube::at(service, "/spec/clusterIPs")) {
      if (ip == held && ip != "None") return fmt::format("clusterIP {}", ip.get<std::string>());
    }
  }
  auto needed = node_ports_of(wanted);
  for (long held : node_ports_of(service)) {
    if (!needed.contains(held)) continue;
    bool check = held == kube::number_at(service, "/spec/healthCheckNodePort");
    return fmt::format("{} {}", check ? "healthCheckNodePort" : "nodePort", held);
  }
  return "";
}

// Whose it is, "" if nobody's; nothing for who may not list all Services.
Task<std::optional<std::string>> find_holder(kube::Client client, Json wanted) {
  kube::Query query;
  query.resource = &kube::kServices;
  query.without_managed_fields = true;
  try {
    auto list = co_await client.list(std::move(query));
    co_return holder_of(list.items, wanted);
  } catch (const Error&) {
    co_return std::nullopt;
  }
}

// Throws when it is the old Service itself that has the address.
Task<> still_there(kube::Client client, Json wanted) {
  auto answer =
      co_await client.get(kube::kServices, kube::namespace_of(wanted), kube::name_of(wanted));
  if (!answer.ok() || !kube::terminating(answer.body)) co_return;
  const Json& finalizers = kube::at(answer.body, "/metadata/finalizers");
  throw TimedOut(fmt::format("it is still being deleted, held back by {}", finalizers.dump()));
}

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

bool only_tries(const kube::Client& client) {
  return client.dry_run() || client.options().read_only;
}

// What is there of that name, as it was; null when nothing is.
Task<Json> there_as_it_was(kube::Client client, Backup backup) {
  auto ns = kube::namespace_of(backup.object), name = kube::name_of(backup.object);
  auto answer = co_await client.get(kube::kServices, ns, name);
  if (answer.not_found()) co_return Json();
  Json found = kube::body_or_throw(std::move(answer));
  if (kube::terminating(found)) {
    if (!only_tries(client))
      co_await wait_gone(client, kube::kServices, ns, name, kube::uid_of(found));
    co_return Json();
  }
  auto where = service_difference(backup.object, found);
  if (where.empty()) co_return found;
  throw failed(fmt::format("it is there, but differs from the backup in {}: not touched", where));
}

}  // namespace

Deadline at_least(Deadline deadline, Milliseconds least) {
  auto left = deadline.left();
  return left ? Deadline::after(std::max(*left, least)) : deadline;
}

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

ServiceDiffers::ServiceDiffers(const Json& service, const Differs& found, const Incomplete* rest)
    : ServiceIsThere(ExitStatus::kFailed,
                     fmt::format("{} is there again, but {} it differs from what it was in {}{}{}",
                                 place_of_service(service),
                                 found.made() ? "something changed it as it was created:"
                                              : "made by somebody else:",
                                 found.where(), rest ? "; " : "", rest ? rest->what() : "")) {}

namespace {

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

}  // namespace

Task<> check_rest_writable(kube::Client client, Backup backup) {
  auto trying = client.trying().quiet();
  co_await check_status_writable(trying, backup.object);
  for (const auto& companion : backup.companions) {
    co_await check_companion_writable(trying, companion, kube::uid_of(backup.object));
  }
}

namespace {

Task<> try_to_restore(kube::Client client, Json wanted) {
  auto ns = kube::namespace_of(wanted);
  auto answer = co_await client.create(kube::kServices, ns, wanted);
  if (answer.ok()) co_return;
  auto holder = co_await find_holder(client, std::move(wanted));
  if (holder && !holder->empty()) throw AddressTaken("its place is taken by " + *holder);
  throw kube::ApiError(std::move(answer));
}

}  // namespace

// An earlier run may have been ended between the Service and what belongs to it.
Task<FromFile> restore_from_file(kube::Client client, Deadline deadline, Backup backup,
                                 Notice notice) {
  auto found = co_await there_as_it_was(client.until(deadline), backup);
  auto shielded = client.shielded();
  FromFile result;
  if (!found.is_null()) {
    if (only_tries(client)) {
      result.missing = co_await missing_rest(client.until(deadline), std::move(backup));
      co_return result;
    }
    auto rest = shielded.until(at_least(deadline, kTimeToComeBack));
    result.missing = co_await put_back_rest(rest, std::move(backup), std::move(found));
    co_return result;
  }
  result.restored = true;
  if (client.dry_run()) co_await try_to_restore(client, recreatable_service(backup.object));
  if (only_tries(client)) co_return result;
  auto made = co_await restore_service(shielded, deadline, std::move(backup), std::move(notice));
  result.missing = std::move(made.missing);
  co_return result;
}

std::string completed_line(const Json& service, const std::vector<std::string>& missing,
                           bool only_tried) {
  return fmt::format("{} of {} {}put back", some_of(missing), place_of_service(service),
                     only_tried ? "would be " : "");
}

std::string holder_of(const std::vector<Json>& services, const Json& wanted) {
  for (const auto& service : services) {
    if (kube::key_of(service) == kube::key_of(wanted)) continue;
    auto address = shared_address(service, wanted);
    if (address.empty()) continue;
    return fmt::format("{} ({})", place_of_service(service), address);
  }
  return "";
}

namespace {

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

namespace {

// The Service alone.
Task<Json> create_service_anew(kube::Client client, Deadline deadline, Backup backup,
                               Notice notice) {
  Json wanted = recreatable_service(backup.object);
  Difference difference = [old = backup.object](const Json& found) {
    return service_difference(old, found);
  };
  Notice told;
  if (notice) {
    told = [&](const std::string& line) {
      auto kept = backup.secret.name.empty() ? "" : "; it is kept in " + backup.secret.display();
      notice(fmt::format("waiting: {}{}", line, kept));
    };
  }
  std::string taken;
  try {
    co_return co_await create_anew(client, deadline, kube::kServices, wanted, difference, told);
  } catch (const AddressTaken& error) {
    taken = error.what();
  }
  auto aside = client.instead_until(Deadline::after(kLookAround));
  co_await still_there(aside, wanted);
  auto holder = co_await find_holder(aside, std::move(wanted));
  if (holder && holder->empty()) taken += kLeaked;
  if (holder && !holder->empty()) taken = "its place was taken meanwhile by " + *holder;
  throw AddressTaken(taken);
}

}  // namespace

Task<Restored> restore_service(kube::Client client, Deadline deadline, Backup backup,
                               Notice notice) {
  Restored restored;
  std::optional<Differs> changed;
  try {
    restored.service = co_await create_service_anew(client, deadline, backup, std::move(notice));
  } catch (const Differs& error) {
    changed = error;
    restored.service = error.found();
  }
  if (changed && !changed->made()) throw ServiceDiffers(backup.object, *changed, nullptr);
  restored.back_at = Clock::now();
  auto rest = client.instead_until(at_least(deadline, kTimeToComeBack));
  std::optional<Incomplete> incomplete;
  try {
    restored.missing = co_await put_back_rest(rest, backup, restored.service);
  } catch (const Incomplete& error) {
    incomplete = error;
  }
  if (changed) throw ServiceDiffers(backup.object, *changed, incomplete ? &*incomplete : nullptr);
  if (incomplete) throw *incomplete;
  co_return restored;
}

}  // namespace kcni::cni
