#include "common/cni/services_restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "common/cni/create_anew.h"
#include "common/cni/services_recreate.h"
#include "common/kube/watch.h"

namespace kcni::cni {

namespace {

using kube::Json;

// For so long nothing may vanish any more: the endpoints controller deletes the Endpoints of a
// Service that it sees deleted, whether or not it is back by then.
constexpr Milliseconds kQuiet{2000};

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
  auto check = kube::number_at(wanted, "/spec/healthCheckNodePort");
  for (const auto& port : kube::at(service, "/spec/ports")) {
    auto held = kube::number_at(port, "/nodePort");
    if (held == 0) continue;
    if (held == check) return fmt::format("nodePort {}", held);
    for (const auto& needed : kube::at(wanted, "/spec/ports")) {
      if (kube::number_at(needed, "/nodePort") == held) return fmt::format("nodePort {}", held);
    }
  }
  return "";
}

// Whose it is, "" if nobody's; nothing for who may not list all Services.
Task<std::optional<std::string>> find_holder(kube::Client client, Json wanted) {
  kube::Query query;
  query.resource = &kube::kServices;
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

bool owned_by(const Json& object, const std::string& uid) {
  const Json& owners = kube::at(object, "/metadata/ownerReferences");
  return std::any_of(owners.begin(), owners.end(),
                     [&](const Json& owner) { return kube::text_at(owner, "/uid") == uid; });
}

// What the control plane may delete after the Service: legacy Endpoints, and slices owned by it.
bool may_vanish(const Json& companion, const std::string& old_uid) {
  return kube::text_at(companion, "/kind") == "Endpoints" || owned_by(companion, old_uid);
}

Task<> adopt(kube::Client client, const kube::Resource& resource, Json wanted) {
  Json patch;
  patch["metadata"]["ownerReferences"] = kube::at(wanted, "/metadata/ownerReferences");
  auto answer = co_await client.patch(resource, kube::namespace_of(wanted), kube::name_of(wanted),
                                      kube::PatchType::kMerge, std::move(patch));
  if (!answer.not_found()) kube::body_or_throw(std::move(answer));
}

// Creates it when it is not there; gives it its new owner when the old one is still noted.
Task<> put_back(kube::Client client, Json companion, std::string old_uid, std::string new_uid) {
  const auto* resource =
      kube::resource_of(kube::text_at(companion, "/apiVersion"), kube::text_at(companion, "/kind"));
  if (!resource) co_return;
  auto ns = kube::namespace_of(companion);
  auto found = co_await client.get(*resource, ns, kube::name_of(companion));
  Json wanted = recreatable_companion(companion, old_uid, new_uid);
  if (found.not_found()) {
    auto made = co_await client.create(*resource, ns, std::move(wanted));
    if (!made.conflict()) kube::body_or_throw(std::move(made));
    co_return;
  }
  Json there = kube::body_or_throw(std::move(found));
  if (owned_by(there, old_uid)) co_await adopt(client, *resource, std::move(wanted));
}

// True when it vanished within the quiet time.
Task<bool> vanishes(kube::Client client, Json companion) {
  kube::Query query;
  query.resource =
      kube::resource_of(kube::text_at(companion, "/apiVersion"), kube::text_at(companion, "/kind"));
  query.ns = kube::namespace_of(companion);
  query.field_selector = "metadata.name=" + kube::name_of(companion);
  query.metadata_only = true;
  kube::Until gone = [](const kube::Snapshot& snapshot) { return snapshot.empty(); };
  auto bounded = client.until(Deadline::after(kQuiet));
  try {
    co_await kube::list_then_watch(bounded, std::move(query), std::move(gone));
  } catch (const TimedOut&) {
    co_return false;
  }
  co_return true;
}

Task<> put_back_for_good(kube::Client client, Json companion, std::string old_uid,
                         std::string new_uid) {
  constexpr int kMostTimes = 5;
  bool watched = may_vanish(companion, old_uid);
  for (int i = 0; i < kMostTimes; ++i) {
    co_await put_back(client, companion, old_uid, new_uid);
    if (!watched) co_return;
    bool again = co_await vanishes(client, companion);
    if (!again) co_return;
  }
  throw failed(fmt::format("somebody keeps deleting {} {}", kube::text_at(companion, "/kind"),
                           kube::key_of(companion)));
}

}  // namespace

std::string holder_of(const std::vector<Json>& services, const Json& wanted) {
  for (const auto& service : services) {
    if (kube::key_of(service) == kube::key_of(wanted)) continue;
    auto address = shared_address(service, wanted);
    if (address.empty()) continue;
    return fmt::format("{} in namespace {} ({})", kube::kServices.display(kube::name_of(service)),
                       kube::namespace_of(service), address);
  }
  return "";
}

Task<Json> restore_service(kube::Client client, Deadline deadline, Backup backup) {
  Json wanted = recreatable_service(backup.object);
  Difference difference = [old = backup.object](const Json& found) {
    return service_difference(old, found);
  };
  std::string taken;
  try {
    co_return co_await create_anew(client, deadline, kube::kServices, wanted, difference);
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

Task<> put_back_companions(kube::Client client, Backup backup, Json new_service) {
  auto quiet = client.quiet();
  std::vector<Task<>> tasks;
  for (const auto& companion : backup.companions) {
    tasks.push_back(put_back_for_good(quiet, companion, kube::uid_of(backup.object),
                                      kube::uid_of(new_service)));
  }
  co_await all(std::move(tasks));
}

}  // namespace kcni::cni
