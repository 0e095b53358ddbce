#include "common/cni/services_broken.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/text.h"
#include "common/cni/cni_daemonsets.h"
#include "common/cni/pods.h"
#include "common/cni/services_endpoints.h"
#include "common/cni/workloads.h"

namespace kcni::cni {

namespace {

using kube::Json;

constexpr Milliseconds kMoment{2000};

bool ready(const Json& pod) {
  return !finished(pod) && pod_ready(pod);
}

bool has_address(const Json& pod, const std::string& address) {
  const Json& addresses = kube::at(pod, "/status/podIPs");
  return std::any_of(addresses.begin(), addresses.end(),
                     [&](const Json& item) { return kube::text_at(item, "/ip") == address; });
}

std::vector<const Json*> ready_pods(const Json& service, const EndpointsView& view) {
  auto pods = selected_pods(view, service);
  std::erase_if(
      pods, [&](const Json* pod) { return !ready(*pod) || addresses_for(service, *pod).empty(); });
  return pods;
}

// The endpoint belongs to a pod that is not there, or not at this address.
std::string stale(const Json& endpoint, const std::string& ns, const EndpointsView& view) {
  if (kube::text_at(endpoint, "/targetRef/kind") != "Pod") return "";
  auto name = kube::text_at(endpoint, "/targetRef/name");
  auto address = kube::text_at(endpoint, "/addresses/0");
  auto pod = view.pods.find(ns + "/" + name);
  auto uid = kube::text_at(endpoint, "/targetRef/uid");
  if (pod == view.pods.end() || (!uid.empty() && kube::uid_of(pod->second) != uid)) {
    return fmt::format("endpoint {} is of pod {}, which is gone", address, name);
  }
  if (finished(pod->second)) {
    if (!endpoint_ready(endpoint)) return "";
    return fmt::format("endpoint {} is of pod {}, which has ended", address, name);
  }
  if (has_address(pod->second, address)) return "";
  return fmt::format("endpoint {} is not an address of its pod {}", address, name);
}

// The first of these addresses that is not among the good ones, or "".
std::string left_out_of(const std::set<std::string>& good,
                        const std::vector<std::string>& addresses) {
  auto first = std::find_if(addresses.begin(), addresses.end(),
                            [&](const std::string& address) { return !good.contains(address); });
  return first == addresses.end() ? "" : *first;
}

Task<EndpointsView> look(kube::Client client, std::string ns) {
  kube::Query query;
  query.resource = &kube::kEndpointSlices;
  query.ns = ns;
  auto slices = co_await client.list(std::move(query));
  auto pods = co_await read_pods(client, ns, "");
  co_return make_endpoints_view(std::move(pods), std::move(slices.items));
}

std::vector<Broken> broken_among(std::vector<Json> services, const EndpointsView& view) {
  std::vector<Broken> result;
  for (auto& service : services) {
    if (auto reason = why_broken(service, view)) {
      result.push_back({std::move(service), std::move(*reason)});
    }
  }
  return result;
}

}  // namespace

EndpointsView make_endpoints_view(std::vector<Json> pods, std::vector<Json> slices) {
  EndpointsView view;
  for (auto& pod : pods) {
    auto key = kube::key_of(pod);
    view.pods[key] = std::move(pod);
  }
  for (auto& slice : slices) {
    auto service = kube::label_of(slice, "kubernetes.io/service-name");
    view.slices[kube::namespace_of(slice) + "/" + service].push_back(std::move(slice));
  }
  return view;
}

const std::vector<Json>& slices_in(const EndpointsView& view, const Json& service) {
  static const std::vector<Json> none;
  auto slices = view.slices.find(kube::key_of(service));
  return slices == view.slices.end() ? none : slices->second;
}

std::vector<const Json*> selected_pods(const EndpointsView& view, const Json& service) {
  auto prefix = kube::namespace_of(service) + "/";
  std::vector<const Json*> pods;
  for (auto pod = view.pods.lower_bound(prefix); pod != view.pods.end(); ++pod) {
    if (!pod->first.starts_with(prefix)) break;
    if (selects(service, pod->second)) pods.push_back(&pod->second);
  }
  return pods;
}

std::optional<std::string> why_broken(const Json& service, const EndpointsView& view) {
  if (kube::at(service, "/spec/selector").empty()) return std::nullopt;
  if (kube::text_at(service, "/spec/type") == "ExternalName") return std::nullopt;
  std::set<std::string> good;
  auto ns = kube::namespace_of(service);
  for (const auto& slice : slices_in(view, service)) {
    for (const auto& endpoint : kube::at(slice, "/endpoints")) {
      auto reason = stale(endpoint, ns, view);
      if (!reason.empty()) return reason;
      if (endpoint_ready(endpoint)) good.insert(kube::text_at(endpoint, "/addresses/0"));
    }
  }
  auto pods = ready_pods(service, view);
  if (good.empty() && !pods.empty()) {
    return fmt::format("no endpoint is ready although {} {}", count_of(pods.size(), "pod"),
                       pods.size() == 1 ? "is" : "are");
  }
  for (const Json* pod : pods) {
    auto left_out = left_out_of(good, addresses_for(service, *pod));
    if (left_out.empty()) continue;
    return fmt::format("pod {} is ready, but no slice has its address {} as ready: they are older",
                       kube::name_of(*pod), left_out);
  }
  return std::nullopt;
}

Task<std::vector<Broken>> find_broken(kube::Client client, std::string ns,
                                      std::vector<Json> services) {
  auto first = co_await look(client, ns);
  auto suspects = broken_among(std::move(services), first);
  first = EndpointsView();
  if (suspects.empty()) co_return suspects;
  co_await client.loop().sleep(kMoment, client.on_interrupt());
  auto second = co_await look(client, ns);
  std::vector<Json> again;
  for (auto& suspect : suspects) again.push_back(std::move(suspect.service));
  co_return broken_among(std::move(again), second);
}

}  // namespace kcni::cni
