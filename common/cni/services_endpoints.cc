#include "common/cni/services_endpoints.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <set>

#include "common/base/text.h"
#include "common/cni/cni_daemonsets.h"
#include "common/cni/pods.h"
#include "common/cni/services_recreate.h"
#include "common/cni/workloads.h"
#include "common/kube/watch.h"

namespace kcni::cni {

using kube::Json;

namespace {

constexpr const char* kServiceName = "kubernetes.io/service-name";
constexpr Milliseconds kLookAround{10'000};
constexpr Milliseconds kBetweenCounts{5'000};
constexpr Milliseconds kLongestWait{120'000};  // for slices that nobody would remember
constexpr Milliseconds kTimeToPutBack{15'000};
constexpr int kMostEdits = 5;
constexpr std::size_t kAsManyAsPods = ~std::size_t{0};

kube::Query query_of_slices(const Json& service) {
  kube::Query query;
  query.resource = &kube::kEndpointSlices;
  query.ns = kube::namespace_of(service);
  query.label_selector = fmt::format("{}={}", kServiceName, kube::name_of(service));
  return query;
}

std::vector<Json> values_of(const kube::Snapshot& snapshot) {
  std::vector<Json> values;
  for (const auto& [key, object] : snapshot) values.push_back(object);
  return values;
}

bool has_family(const Json& service, const std::string& address) {
  const char* family = address.find(':') == std::string::npos ? "IPv4" : "IPv6";
  const Json& families = kube::at(service, "/spec/ipFamilies");
  return families.empty() || std::find(families.begin(), families.end(), family) != families.end();
}

// What is to be there in the end. Where there is no selector, or the pods may not be looked at,
// only the past tells.
Task<std::size_t> wanted_now(kube::Client client, Json service, std::size_t most) {
  if (kube::at(service, "/spec/selector").empty()) co_return most;
  kube::Query query;
  query.resource = &kube::kPods;
  query.ns = kube::namespace_of(service);
  query.label_selector = selector_text(service);
  try {
    auto pods = co_await client.list(std::move(query));
    co_return std::min(most, ready_addresses_of_pods(service, pods.items));
  } catch (const kube::ApiError& error) {
    if (error.answer().status != 403 || most == kAsManyAsPods) throw;
  }
  co_return most;
}

// True when the condition holds before the client's deadline.
Task<bool> comes_true(kube::Client client, kube::Query query, kube::Until until) {
  try {
    co_await kube::list_then_watch(client, std::move(query), std::move(until));
    co_return true;
  } catch (const TimedOut&) {
    co_return false;
  }
}

/// How many addresses are ready, if there is anything to count in yet, and how many are to be.
struct Count {
  std::optional<std::size_t> ready;
  std::size_t wanted = 0;

  bool enough() const { return ready && *ready >= wanted; }
};
using CountReady = std::function<std::optional<std::size_t>(const std::vector<Json>& slices)>;

// Until enough are ready, or the client's deadline: false. Pods come and go meanwhile, so they are
// counted again every few seconds.
Task<bool> enough_come(kube::Client client, Json service, std::size_t most, CountReady count_ready,
                       Count& count) {
  kube::Until enough = [&](const kube::Snapshot& slices) {
    count.ready = count_ready(values_of(slices));
    return count.enough();
  };
  auto aside = client.instead_until(client.deadline().earlier(Deadline::after(kLookAround)));
  count.wanted = co_await wanted_now(aside, service, most);
  for (;;) {
    auto slice = client.deadline().earlier(Deadline::after(kBetweenCounts));
    bool came = co_await comes_true(client.instead_until(slice), query_of_slices(service), enough);
    if (came) co_return true;
    auto again = client.instead_until(Deadline::after(kLookAround));
    count.wanted = co_await wanted_now(again, service, most);
    if (count.enough()) co_return true;
    if (client.deadline().passed()) co_return false;
  }
}

}  // namespace

std::string selector_text(const Json& service) {
  std::vector<std::string> terms;
  for (const auto& [key, value] : kube::at(service, "/spec/selector").items()) {
    terms.push_back(fmt::format("{}={}", key, value.get<std::string>()));
  }
  return join(terms, ",");
}

bool selects(const Json& service, const Json& pod) {
  const Json& selector = kube::at(service, "/spec/selector");
  for (const auto& [key, value] : selector.items()) {
    if (!kube::has_label(pod, key) || kube::label_of(pod, key) != value) return false;
  }
  return !selector.empty();
}

std::vector<std::string> addresses_for(const Json& service, const Json& pod) {
  std::vector<std::string> addresses;
  for (const auto& item : kube::at(pod, "/status/podIPs")) {
    auto address = kube::text_at(item, "/ip");
    if (has_family(service, address)) addresses.push_back(std::move(address));
  }
  return addresses;
}

bool endpoint_ready(const Json& endpoint) {
  const Json& condition = kube::at(endpoint, "/conditions/ready");
  return !condition.is_boolean() || condition.get<bool>();
}

std::size_t ready_addresses(const std::vector<Json>& slices, const std::string& gone_owner) {
  std::set<std::string> addresses;
  for (const auto& slice : slices) {
    if (kube::terminating(slice) || has_owner(slice, gone_owner)) continue;
    for (const auto& endpoint : kube::at(slice, "/endpoints")) {
      if (endpoint_ready(endpoint)) addresses.insert(kube::text_at(endpoint, "/addresses/0"));
    }
  }
  return addresses.size();
}

std::size_t ready_addresses_of_pods(const Json& service, const std::vector<Json>& pods) {
  bool any = kube::flag_at(service, "/spec/publishNotReadyAddresses");
  std::set<std::string> addresses;
  for (const auto& pod : pods) {
    if (finished(pod) || kube::terminating(pod) || !selects(service, pod)) continue;
    if (!any && !pod_ready(pod)) continue;
    auto its = addresses_for(service, pod);
    addresses.insert(its.begin(), its.end());
  }
  return addresses.size();
}

Task<std::vector<Json>> slices_of(kube::Client client, Json service) {
  auto query = query_of_slices(service);
  auto list = co_await client.list(std::move(query));
  co_return std::move(list.items);
}

Task<> wait_for_endpoints(kube::Client client, Json service, std::size_t before,
                          std::string old_uid) {
  if (before == 0) co_return;
  CountReady count_ready = [old_uid](const std::vector<Json>& slices) {
    return std::optional(ready_addresses(slices, old_uid));
  };
  Count count;
  std::string trouble = "timed out waiting for kube-controller-manager to write them";
  try {
    bool came = co_await enough_come(client, service, before, std::move(count_ready), count);
    if (came) co_return;
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    trouble = error.what();
  }
  auto ready = count.ready.value_or(0);
  throw TimedOut(fmt::format(
      "{} is recreated, but of its endpoints {} of {} {} ready: {} (kubectl cni svc-recreate "
      "--explain {} -n {} looks for the reason)",
      place_of_service(service), ready, std::max(count.wanted, std::size_t{1}),
      ready == 1 ? "is" : "are", trouble, kube::name_of(service), kube::namespace_of(service)));
}

namespace {

/// What a rewriting has deleted.
using Deleted = std::vector<Json>;

// Gone, too, when somebody else was faster; not when it was changed just now.
Task<bool> delete_slice(kube::Client client, Json slice, Deleted& deleted) {
  kube::DeleteOptions exactly;
  exactly.uid = kube::uid_of(slice);
  exactly.resource_version = kube::text_at(slice, "/metadata/resourceVersion");
  auto answer = co_await client.remove(kube::kEndpointSlices, kube::namespace_of(slice),
                                       kube::name_of(slice), exactly);
  if (answer.conflict()) co_return false;
  if (!answer.not_found()) kube::body_or_throw(std::move(answer));
  deleted.push_back(std::move(slice));
  co_return true;
}

std::vector<Json> controllers_slices(std::vector<Json> slices, const Deleted& but) {
  std::erase_if(slices, [&](const Json& slice) {
    return !written_by_controller(slice) ||
           std::any_of(but.begin(), but.end(),
                       [&](const Json& old) { return kube::uid_of(old) == kube::uid_of(slice); });
  });
  return slices;
}

// One that the controller changes meanwhile is read again; those that it has written anew are not
// deleted.
Task<> delete_slices(kube::Client client, Json service, Deleted& deleted) {
  std::set<std::string> names;
  for (int edits = 0; edits < kMostEdits; ++edits) {
    auto now = co_await slices_of(client, service);
    auto slices = controllers_slices(std::move(now), deleted);
    if (edits == 0) {
      for (const auto& slice : slices) names.insert(kube::uid_of(slice));
    }
    bool all = true;
    for (auto& slice : slices) {
      if (!names.contains(kube::uid_of(slice))) continue;
      bool gone = co_await delete_slice(client, slice, deleted);
      all &= gone;
    }
    if (all) co_return;
  }
  throw blocked(
      fmt::format("the EndpointSlices of {} are changed again and again: {} of {} deleted",
                  place_of_service(service), deleted.size(), names.size()));
}

// Unless the controller has come back to life at last. What one of them says is no reason to leave
// out the others.
Task<std::string> put_slices_back(kube::Client client, Json service, const Deleted& deleted) {
  std::string trouble;
  try {
    auto now = co_await slices_of(client, service);
    if (!controllers_slices(std::move(now), deleted).empty()) co_return "some are written anew";
  } catch (const Error& error) {
    trouble = fmt::format("; whether any are written anew is not known: {}", error.what());
  }
  for (const auto& slice : deleted) {
    try {
      auto ns = kube::namespace_of(slice);
      auto answer =
          co_await client.create(kube::kEndpointSlices, ns, recreatable_companion(slice, "", ""));
      if (!answer.conflict()) kube::body_or_throw(std::move(answer));
    } catch (const Error& error) {
      trouble += fmt::format("; {} could not be put back: {}", kube::name_of(slice), error.what());
    }
  }
  if (!trouble.empty()) co_return "is kube-controller-manager alive?" + trouble;
  co_return "those that were there are put back; is kube-controller-manager alive?";
}

// Who may not put one back is not to delete it.
Task<> require_creatable_slice(kube::Client client, Json service) {
  auto now = co_await slices_of(client, service);
  for (const auto& slice : controllers_slices(std::move(now), {})) {
    auto ns = kube::namespace_of(slice);
    auto answer = co_await client.trying().create(kube::kEndpointSlices, ns,
                                                  recreatable_companion(slice, "", ""));
    if (!answer.conflict()) kube::body_or_throw(std::move(answer));
    co_return;
  }
}

// What ends the wait for those that were deleted, other than that they come.
Task<std::optional<Error>> wait_for_slices(kube::Client client, Json service,
                                           const Deleted& deleted) {
  CountReady count_ready = [&deleted](const std::vector<Json>& slices) {
    auto anew = controllers_slices(slices, deleted);
    return anew.empty() ? std::nullopt : std::optional(ready_addresses(anew));
  };
  try {
    Count count;
    bool came = co_await enough_come(client, service, kAsManyAsPods, std::move(count_ready), count);
    if (came) co_return std::nullopt;
    co_return TimedOut("the control plane has not written them anew in time");
  } catch (const Error& error) {
    co_return error;
  }
}

}  // namespace

Task<std::size_t> rewrite_slices(kube::Client client, Json service) {
  co_await require_creatable_slice(client, service);
  co_await wanted_now(client, service, kAsManyAsPods);  // who may not see them could not wait
  Deleted deleted;
  std::optional<Error> trouble;
  try {
    co_await delete_slices(client.shielded(), service, deleted);
  } catch (const Error& error) {
    trouble = error;  // those that are gone are seen to all the same
  }
  if (trouble && deleted.empty()) throw *trouble;
  if (deleted.empty() || client.dry_run()) co_return deleted.size();
  auto patient = client.instead_until(client.deadline().earlier(Deadline::after(kLongestWait)));
  auto ended = co_await wait_for_slices(patient, service, deleted);
  if (!ended && trouble) throw *trouble;
  if (!ended) co_return deleted.size();
  auto aside = client.shielded().instead_until(Deadline::after(kTimeToPutBack));
  auto what = co_await put_slices_back(aside, service, deleted);
  throw Error(ended->status(),
              fmt::format("the EndpointSlices of {} were deleted, and then: {}: {}",
                          place_of_service(service), ended->what(), what));
}

}  // namespace kcni::cni
