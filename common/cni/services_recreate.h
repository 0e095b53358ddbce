// Making a Service anew: what of it goes into the new one, and which ones are left alone. Pure.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/kube/json.h"

namespace kcni::cni {

/// "service/web in namespace shop", for messages.
std::string place_of_service(const kube::Json& service);

/// Whether an object with this UID is among its owners; none has "".
bool has_owner(const kube::Json& object, const std::string& uid);

/// The Service to create in place of this one: everything that a client of it could rely on, the
/// very clusterIPs and nodePorts included, and its finalizers; less what the server writes itself.
kube::Json recreatable_service(const kube::Json& service);

/// The same in the forms in which a dry run of its create says the most while the Service is still
/// there: the server looks at no more than the first port that is taken (and it is, by the Service
/// itself), so once without any, then with each node port alone
/// (kubernetes/pkg/registry/core/service/storage: ports are allocated before validation and
/// admission). One without node ports stays as it is.
std::vector<kube::Json> trials_of_service(const kube::Json& service);

/// The first field in which the new one is not as the old one was, or "". Labels and annotations
/// that were added meanwhile do not count.
std::string service_difference(const kube::Json& old_service, const kube::Json& new_service);

/// Its nodePorts and its healthCheckNodePort.
std::set<long> node_ports_of(const kube::Json& service);

/// The status to write for the new one, as the platform had it: a balancer's address, conditions.
/// Null when there is nothing in it. Some platforms (MetalLB) keep an address that stands there.
kube::Json recreatable_status(const kube::Json& service);

/// What the user has said may be recreated all the same.
struct ServiceConsent {
  bool named = false;          ///< selected by name
  bool load_balancer = false;  ///< --allow-load-balancer
  bool owned = false;          ///< --allow-owned
  bool finalizers = false;     ///< --allow-finalizers
};

/// Why a Service is left alone, or nullopt when it may be recreated. Names the flag that overrides.
std::optional<std::string> why_left_alone(const kube::Json& service, const ServiceConsent& consent);

/// An EndpointSlice that the control plane writes from the Service's selector.
bool written_by_controller(const kube::Json& slice);

/// Endpoints and EndpointSlices that a person or a controller of their own wrote, as opposed to the
/// control plane, which makes its own anew.
bool written_by_hand(const kube::Json& slice);

/// Such an object as it is to be created for the new Service: owners with the old Service's UID
/// get the new one's.
kube::Json recreatable_companion(const kube::Json& companion, const std::string& old_uid,
                                 const std::string& new_uid);

}  // namespace kcni::cni
