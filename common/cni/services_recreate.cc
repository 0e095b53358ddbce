#include "common/cni/services_recreate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <vector>

#include "common/base/text.h"
#include "common/cni/compare.h"
#include "common/kube/resource.h"

namespace kcni::cni {

namespace {

using kube::Json;

// Put there and taken off by the cloud's controller.
constexpr const char* kPlatformFinalizer = "service.kubernetes.io/load-balancer-cleanup";

// Marks of those that put an object back as they want it, or prune it.
constexpr std::array<const char*, 11> kReconcilerMarks{
    "argocd.argoproj.io/instance", "argocd.argoproj.io/tracking-id",
    "kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name",
    "addonmanager.kubernetes.io/mode", "objectset.rio.cattle.io/id", "operators.coreos.com/owner",
    "olm.owner", "configsync.gke.io/declared-fields",
    // operator-sdk, where no ownerReference is possible; Flux's Helm Operator
    "operator-sdk/primary-resource", "helm.fluxcd.io/antecedent"};

constexpr const char* kSliceManager = "endpointslice.kubernetes.io/managed-by";
constexpr const char* kManagedBy = "app.kubernetes.io/managed-by";

// Tools that write once and do not come back by themselves.
constexpr std::array<std::string_view, 6> kOnceOnly{"helm",      "tiller",   "kubectl",
                                                    "kustomize", "skaffold", "manual"};

// "Kind/name" or a mark's name; "" when nobody looks after the object.
std::string owner_of(const Json& service) {
  for (const auto& owner : kube::at(service, "/metadata/ownerReferences")) {
    return fmt::format("{}/{}", kube::text_at(owner, "/kind"), kube::text_at(owner, "/name"));
  }
  for (const char* mark : kReconcilerMarks) {
    if (kube::has_label(service, mark) || !kube::annotation_of(service, mark).empty()) return mark;
  }
  auto manager = kube::label_of(service, kManagedBy);
  auto known = std::find(kOnceOnly.begin(), kOnceOnly.end(), lower(manager));
  return known == kOnceOnly.end() ? manager : "";
}

std::vector<std::string> foreign_finalizers(const Json& service) {
  std::vector<std::string> foreign;
  for (const auto& finalizer : kube::at(service, "/metadata/finalizers")) {
    if (finalizer.is_string() && finalizer != kPlatformFinalizer) foreign.push_back(finalizer);
  }
  return foreign;
}

Json with_only_node_port(Json service, long kept) {
  auto& spec = service["spec"];
  if (kube::number_at(spec, "/healthCheckNodePort") != kept) spec.erase("healthCheckNodePort");
  for (auto& port : spec["ports"]) {
    if (kube::number_at(port, "/nodePort") != kept) port.erase("nodePort");
  }
  return service;
}

// An update may give two ports one nodePort, a create only where their `port` is one, too
// (kubernetes/pkg/registry/core/service/storage/alloc.go, initNodePorts). 0: there is none.
long shared_node_port(const Json& service) {
  std::map<long, long> port_of;
  for (const auto& port : kube::at(service, "/spec/ports")) {
    long held = kube::number_at(port, "/nodePort"), number = kube::number_at(port, "/port");
    if (held != 0 && port_of.emplace(held, number).first->second != number) return held;
  }
  return 0;
}

// What no flag overrides.
std::optional<std::string> why_never(const Json& service) {
  if (kube::key_of(service) == "default/kubernetes") {
    return "it is the API server's own; never recreated";
  }
  if (kube::terminating(service)) return "it is being deleted";
  if (kube::text_at(service, "/spec/type") == "ExternalName") {
    return "it is of type ExternalName: a name in DNS, nothing to gain";
  }
  if (kube::text_at(service, "/spec/clusterIP") == "None") {
    return "it is headless: a name in DNS, nothing to gain";
  }
  if (long held = shared_node_port(service)) {
    return fmt::format(
        "two of its ports with different numbers share nodePort {}, which the server takes in an "
        "edit, but not in a Service that is created",
        held);
  }
  return std::nullopt;
}

}  // namespace

std::string place_of_service(const Json& service) {
  return fmt::format("{} in namespace {}", kube::kServices.display(kube::name_of(service)),
                     kube::namespace_of(service));
}

bool has_owner(const Json& object, const std::string& uid) {
  const Json& owners = kube::at(object, "/metadata/ownerReferences");
  return !uid.empty() && std::any_of(owners.begin(), owners.end(), [&](const Json& owner) {
    return kube::text_at(owner, "/uid") == uid;
  });
}

Json recreatable_service(const Json& service) {
  Json fresh = {{"apiVersion", "v1"}, {"kind", "Service"}};
  Json metadata = fresh_metadata(kube::at(service, "/metadata"));
  fresh["metadata"] = std::move(metadata);
  fresh["spec"] = kube::at(service, "/spec");
  return fresh;
}

std::set<long> node_ports_of(const Json& service) {
  std::set<long> held{kube::number_at(service, "/spec/healthCheckNodePort")};
  for (const auto& port : kube::at(service, "/spec/ports")) {
    held.insert(kube::number_at(port, "/nodePort"));
  }
  held.erase(0);
  return held;
}

std::vector<Json> trials_of_service(const Json& service) {
  Json whole = recreatable_service(service);
  auto held = node_ports_of(whole);
  if (held.empty()) return {whole};
  std::vector<Json> trials{with_only_node_port(whole, 0)};
  for (long port : held) trials.push_back(with_only_node_port(whole, port));
  return trials;
}

Json recreatable_status(const Json& service) {
  Json status;
  for (const char* field : {"loadBalancer", "conditions"}) {
    const Json& value = kube::at(service, std::string("/status/") + field);
    if (!value.empty()) status[field] = value;
  }
  return status;
}

std::string service_difference(const Json& old_service, const Json& new_service) {
  Json wanted = recreatable_service(old_service);
  Json found = recreatable_service(new_service);
  auto where = first_difference(wanted["metadata"], found["metadata"], Extra::kIgnored);
  if (!where.empty()) return "metadata." + where;
  where = first_difference(wanted["spec"], found["spec"], Extra::kDiffers);
  return where.empty() ? "" : "spec." + where;
}

std::optional<std::string> why_left_alone(const Json& service, const ServiceConsent& consent) {
  if (auto never = why_never(service)) return never;
  if (kube::namespace_of(service) == "kube-system" && !consent.named) {
    return "it is in kube-system: recreated only when asked for by name";
  }
  if (kube::text_at(service, "/spec/type") == "LoadBalancer" && !consent.load_balancer) {
    return "it is of type LoadBalancer: the cloud's balancer and its address would go with it "
           "(--allow-load-balancer recreates it all the same)";
  }
  if (auto foreign = foreign_finalizers(service); !foreign.empty() && !consent.finalizers) {
    return fmt::format(
        "its finalizer {} could hold the delete back until --timeout; whoever set it must take it "
        "off first (--allow-finalizers waits for that, and sets it again)",
        some_of(foreign));
  }
  if (auto owner = owner_of(service); !owner.empty() && !consent.owned) {
    return fmt::format(
        "{} looks after it and may interfere (--allow-owned recreates it all the "
        "same)",
        owner);
  }
  return std::nullopt;
}

bool written_by_controller(const Json& slice) {
  return kube::label_of(slice, kSliceManager) == "endpointslice-controller.k8s.io";
}

bool written_by_hand(const Json& slice) {
  return !written_by_controller(slice) &&
         kube::label_of(slice, kSliceManager) != "endpointslicemirroring-controller.k8s.io";
}

Json recreatable_companion(const Json& companion, const std::string& old_uid,
                           const std::string& new_uid) {
  Json fresh = companion;
  fresh["metadata"] = fresh_metadata(kube::at(companion, "/metadata"));
  if (fresh["metadata"].contains("ownerReferences")) {
    for (auto& owner : fresh["metadata"]["ownerReferences"]) {
      if (kube::text_at(owner, "/uid") == old_uid) owner["uid"] = new_uid;
    }
  }
  return fresh;
}

}  // namespace kcni::cni
