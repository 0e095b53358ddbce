#include "common/cni/services_explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "common/base/text.h"
#include "common/base/time.h"
#include "common/cni/pods.h"
#include "common/cni/services_endpoints.h"
#include "common/cni/services_recreate.h"
#include "common/cni/workloads.h"

namespace kcni::cni {

using kube::Json;

namespace {

// Younger slices were written anew already, to no avail.
constexpr std::chrono::minutes kJustWritten{10};
// A node forgets a UDP flow that nobody uses after three minutes, one in use never.
constexpr std::chrono::minutes kJustChanged{10};
// kube-proxy's --healthz-bind-address.
constexpr int kHealthPort = 10256;
constexpr Milliseconds kHealthTime{15'000};  // a 503 is asked for again some times

bool younger(const std::string& time, std::chrono::minutes age) {
  auto then = parse_rfc3339(time);
  return then && std::chrono::system_clock::now() - *then < age;
}

std::string nodes_of(const std::set<std::string>& nodes) {
  return join(std::vector<std::string>(nodes.begin(), nodes.end()), " ");
}

// On a node where flannel runs the old address is the right one.
void explain_old_addresses(const Json& service, const ServicesView& view,
                           std::vector<Finding>& findings) {
  if (!view.has_cilium) return;
  std::vector<std::string> pods;
  std::set<std::string> nodes;
  for (const Json* pod : selected_pods(view.endpoints, service)) {
    if (view.on_flannel.contains(node_of(*pod))) continue;
    if (!has_flannel_address(*pod, view.network)) continue;
    pods.push_back(kube::name_of(*pod));
    nodes.insert(node_of(*pod));
  }
  if (pods.empty()) return;
  findings.push_back(
      {fmt::format("{} still {} an address of flannel, on {} where flannel is gone: {}",
                   count_of(pods.size(), "pod"), pods.size() == 1 ? "has" : "have",
                   nodes.size() == 1 ? "a node" : "nodes", some_of(pods)),
       "kubectl cni evict --recycle " + nodes_of(nodes)});
}

void explain_residue(const ServicesView& view, std::vector<Finding>& findings) {
  if (!view.has_cilium || view.marked.empty()) return;
  findings.push_back(
      {fmt::format("what flannel left may rewrite its traffic on {}", some_of(view.marked)),
       "kubectl cni cleanup " + join(view.marked, " ")});
}

bool speaks_udp(const Json& service) {
  const Json& ports = kube::at(service, "/spec/ports");
  return std::any_of(ports.begin(), ports.end(),
                     [](const Json& port) { return kube::text_at(port, "/protocol") == "UDP"; });
}

void explain_conntrack(const Json& service, const ServicesView& view,
                       std::vector<Finding>& findings) {
  if (!view.has_cilium || !speaks_udp(service) || view.network.ranges.empty()) return;
  for (const auto& slice : slices_in(view.endpoints, service)) {
    auto changed = kube::annotation_of(slice, "endpoints.kubernetes.io/last-change-trigger-time");
    if (!younger(changed, kJustChanged)) continue;
    findings.push_back(
        {fmt::format("it speaks UDP and its pods changed at {}: a flow that was there "
                     "may still go to an address that is gone",
                     changed),
         "kubectl cni cleanup --only conntrack --all"});
    return;
  }
}

void explain_proxies(const ServicesView& view, std::vector<Finding>& findings) {
  if (view.stale_proxy.empty()) return;
  const auto& [node, found] = *view.stale_proxy.begin();
  const auto& [pod, reason] = found;
  auto others = view.stale_proxy.size() - 1;
  findings.push_back(
      {fmt::format("kube-proxy on {} {}{}", node, reason,
                   others ? fmt::format(" (and on {} more)", count_of(others, "node")) : ""),
       "kubectl -n kube-system delete pod " + pod});
}

bool just_written(const std::vector<Json>& slices) {
  bool any = false;
  for (const auto& slice : slices) {
    if (!written_by_controller(slice)) continue;
    any = true;
    if (!younger(kube::text_at(slice, "/metadata/creationTimestamp"), kJustWritten)) return false;
  }
  return any;
}

// The endpoints are right then, but there are none.
void explain_pods(const Json& service, const ServicesView& view, std::vector<Finding>& findings) {
  if (ready_addresses(slices_in(view.endpoints, service)) > 0) return;
  auto pods = selected_pods(view.endpoints, service);
  auto matching = static_cast<std::size_t>(
      std::count_if(pods.begin(), pods.end(), [](const Json* pod) { return !finished(*pod); }));
  findings.push_back({matching == 0
                          ? "no pod matches its selector"
                          : fmt::format("none of its {} is Ready", count_of(matching, "pod")),
                      fmt::format("kubectl get pods -n {} -l {}", kube::namespace_of(service),
                                  selector_text(service))});
}

void explain_slices(const Json& service, const ServicesView& view, std::vector<Finding>& findings) {
  auto reason = why_broken(service, view.endpoints);
  if (!reason) {
    explain_pods(service, view, findings);
    return;
  }
  auto slices = slices_in(view.endpoints, service);
  auto command = fmt::format("kubectl cni svc-recreate {} -n {}", kube::name_of(service),
                             kube::namespace_of(service));
  bool rewritable = std::any_of(slices.begin(), slices.end(), written_by_controller);
  if (!rewritable || just_written(slices)) {
    std::string why = rewritable ? ", although its slices were written a moment ago" : "";
    ServiceConsent named{.named = true};
    auto against = why_left_alone(service, named);
    if (against) why += fmt::format(" (it would be left alone: {})", *against);
    findings.push_back({*reason + why, command});
  } else {
    findings.push_back({*reason, command + " --endpoints-only"});
  }
}

bool is_proxy(const Json& pod) {
  return kube::namespace_of(pod) == "kube-system" &&
         (kube::label_of(pod, "k8s-app") == "kube-proxy" ||
          kube::label_of(pod, "component") == "kube-proxy");
}

// What kube-proxy says of itself: 503 when it has not synchronised its rules in time.
Task<std::string> ask_proxy(kube::Client client, std::string node) {
  auto path = fmt::format("/api/v1/nodes/{}:{}/proxy/healthz", kube::escape(node), kHealthPort);
  kube::Answer answer;
  try {
    answer = co_await client.until(Deadline::after(kHealthTime)).get_raw(std::move(path));
  } catch (const Interrupted&) {
    throw;
  } catch (const Error&) {
    co_return "";  // not to be reached is another matter
  }
  // A node that is to go away is not eligible, which says nothing of the rules.
  bool its_own = answer.body.is_object() && answer.body.contains("lastUpdated") &&
                 answer.body.value("nodeEligible", true);
  if (answer.status != 503 || !its_own) co_return "";
  co_return fmt::format("last wrote its rules at {}", kube::text_at(answer.body, "/lastUpdated"));
}

Task<> look_at_proxy(kube::Client client, Json pod, ServicesView& view) {
  auto node = node_of(pod);
  std::string reason = "is not Ready, so its rules may be stale";
  if (pod_ready(pod)) reason = co_await ask_proxy(client, node);
  if (!reason.empty()) view.stale_proxy[node] = {kube::name_of(pod), printable(reason)};
}

Task<> look_at_proxies(kube::Client client, const std::vector<Json>& pods, ServicesView& view) {
  std::vector<Task<>> tasks;
  for (const auto& pod : pods) {
    if (is_proxy(pod) && !finished(pod)) tasks.push_back(look_at_proxy(client, pod, view));
  }
  co_await all(std::move(tasks));
}

void find_flannel_pods(const std::vector<CniDaemonSet>& daemonsets, const std::vector<Json>& pods,
                       ServicesView& view) {
  for (const auto& daemonset : daemonsets) {
    if (daemonset.cni == Cni::kCilium) view.has_cilium = true;
    if (daemonset.cni != Cni::kFlannel) continue;
    auto uid = kube::uid_of(daemonset.object);
    for (const auto& pod : pods) {
      if (owned_by(pod, uid) && !finished(pod)) view.on_flannel.insert(node_of(pod));
    }
  }
}

}  // namespace

Task<ServicesView> look_at_services(kube::Client client, NamedDaemonSets named) {
  ServicesView view;
  view.network = co_await find_flannel_network(client);
  auto daemonsets = co_await find_cni_daemonsets(client, std::move(named));
  kube::Query query;
  query.resource = &kube::kNodes;
  query.metadata_only = true;
  auto nodes = co_await client.list(std::move(query));
  kube::Query slices_query;
  slices_query.resource = &kube::kEndpointSlices;
  auto slices = co_await client.list(std::move(slices_query));
  auto pods = co_await read_pods(client, "", "");
  find_flannel_pods(daemonsets, pods, view);
  for (const auto& node : nodes.items) {
    auto name = kube::name_of(node);
    if (has_flannel_annotations(node) && !view.on_flannel.contains(name)) {
      view.marked.push_back(name);
    }
  }
  co_await look_at_proxies(client, pods, view);
  view.endpoints = make_endpoints_view(std::move(pods), std::move(slices.items));
  co_return view;
}

std::vector<Finding> explain(const Json& service, const ServicesView& view) {
  std::vector<Finding> findings;
  bool external = kube::text_at(service, "/spec/type") == "ExternalName";
  if (external || kube::at(service, "/spec/selector").empty()) return findings;
  explain_old_addresses(service, view, findings);
  explain_residue(view, findings);
  explain_conntrack(service, view, findings);
  explain_proxies(view, findings);
  explain_slices(service, view, findings);
  return findings;
}

}  // namespace kcni::cni
