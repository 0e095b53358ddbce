#include "common/cni/services_restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "common/base/text.h"
#include "common/cni/services_recreate.h"

namespace kcni::cni {

namespace {

using kube::Json;

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

ServiceDiffers::ServiceDiffers(const Json& service, const Differs& found, const Incomplete* rest)
    : ServiceIsThere(ExitStatus::kFailed,
                     fmt::format("{} is there again, but {} it differs from what it was in {}{}{}",
                                 place_of_service(service),
                                 found.made() ? "something changed it as it was created:"
                                              : "made by somebody else:",
                                 found.where(), rest ? "; " : "", rest ? rest->what() : "")) {}

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
