// Services whose endpoints are not what they should be.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/kube/client.h"

namespace kcni::cni {

/// Pods and EndpointSlices as they were at about one time.
struct EndpointsView {
  std::map<std::string, kube::Json> pods;                 ///< by "namespace/name"
  std::map<std::string, std::vector<kube::Json>> slices;  ///< by "namespace/service"
};

EndpointsView make_endpoints_view(std::vector<kube::Json> pods, std::vector<kube::Json> slices);

/// The Service's EndpointSlices in the view.
const std::vector<kube::Json>& slices_in(const EndpointsView& view, const kube::Json& service);

/// The pods in the view that the Service selects, finished ones included.
std::vector<const kube::Json*> selected_pods(const EndpointsView& view, const kube::Json& service);

/// "no endpoint is ready although 3 pods are", "endpoint 10.244.1.7 is of pod web-1, which is
/// gone", "pod web-1 is ready, but no slice has its address": why clients cannot reach what the
/// Service stands for; nullopt when they can, as far as the API knows, or when the Service has no
/// selector.
std::optional<std::string> why_broken(const kube::Json& service, const EndpointsView& view);

/// A broken Service and the reason.
struct Broken {
  kube::Json service;
  std::string reason;
};

/// Those that are broken at two looks, a moment apart: between a pod's change and its endpoint's
/// there always is one at which they disagree.
Task<std::vector<Broken>> find_broken(kube::Client client, std::string ns,
                                      std::vector<kube::Json> services);

}  // namespace kcni::cni
