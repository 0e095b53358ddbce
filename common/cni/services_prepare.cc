#include "common/cni/services_prepare.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "common/cni/backup_file.h"
#include "common/cni/create_anew.h"
#include "common/cni/services_endpoints.h"
#include "common/cni/services_recreate.h"
#include "common/cni/services_rest.h"

namespace kcni::cni {

namespace {

using kube::Json;

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

// Whether it is there at all.
Task<bool> check_service_creatable(kube::Client client, Json service) {
  for (auto& trial : trials_of_service(service)) {
    bool there = co_await check_creatable(client, kube::kServices, std::move(trial));
    if (!there) co_return false;
  }
  co_return true;
}

Task<> look_around(kube::Client client, Prepared& prepared) {
  const Json& service = prepared.backup.object;
  auto slices = co_await slices_of(client, service);
  prepared.ready = ready_addresses(slices);
  prepared.backup.companions = co_await companions_of(client, service, std::move(slices));
}

}  // namespace

Task<Prepared> prepare_service(kube::Client client, std::string backup_dir, Json service) {
  Prepared prepared;
  auto& backup = prepared.backup;
  backup.object = service;
  backup.object["metadata"].erase("managedFields");
  const char* trouble = "it could not be created anew: ";
  try {
    bool there = co_await check_service_creatable(client, service);
    if (!there) {
      trouble = "";
      throw failed(kGoneBefore);
    }
    trouble = "what belongs to it could not be looked at: ";
    co_await look_around(client, prepared);
    trouble = "what belongs to it could not be written again: ";
    co_await check_rest_writable(client, backup);
    // They may have been edited meanwhile, and no precondition of the delete is about them.
    if (!backup.companions.empty()) co_await look_around(client, prepared);
    trouble = "no backup could be made: ";
    if (!client.dry_run() && !backup_dir.empty()) {
      write_backup_file(backup_dir, backup, recreatable_service(service));
    }
    backup.secret = co_await save_backup(client, kube::kServices, backup.object, backup.companions);
    co_return prepared;
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    throw Error(error.status(), fmt::format("{} left alone: {}{}", place_of_service(service),
                                            trouble, error.what()));
  }
}

}  // namespace kcni::cni
