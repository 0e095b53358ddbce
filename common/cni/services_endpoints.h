// A Service's endpoints: counting those that are ready, waiting for them, having them written anew.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/kube/client.h"

namespace kcni::cni {

/// The selector in the form of a list's labelSelector.
std::string selector_text(const kube::Json& service);

/// The selector matches the pod's labels; an empty one matches none.
bool selects(const kube::Json& service, const kube::Json& pod);

/// The pod's addresses in the Service's families.
std::vector<std::string> addresses_for(const kube::Json& service, const kube::Json& pod);

/// An endpoint that clients may be sent to: conditions.ready is true, or unknown (discovery/v1).
bool endpoint_ready(const kube::Json& endpoint);

/// How many different addresses are ready in these slices. A slice of this owner ("": none) does
/// not count: it goes with the Service that was deleted.
std::size_t ready_addresses(const std::vector<kube::Json>& slices,
                            const std::string& gone_owner = "");

/// How many addresses of these pods the control plane is going to write as ready for the Service:
/// of pods that it selects, that are Ready (or publishNotReadyAddresses is set), in its families.
std::size_t ready_addresses_of_pods(const kube::Json& service, const std::vector<kube::Json>& pods);

/// The EndpointSlices of a Service.
Task<std::vector<kube::Json>> slices_of(kube::Client client, kube::Json service);

/// Waits until as many addresses of the Service are ready as were before it was recreated, or as
/// its pods have if that is fewer by now. Throws TimedOut that tells how many are ready, and why
/// there are not more; Interrupted.
Task<> wait_for_endpoints(kube::Client client, kube::Json service, std::size_t before,
                          std::string old_uid);

/// Deletes the slices that the control plane has written for the Service and waits until it has
/// written them anew, with as many ready addresses as its pods have. The Service itself is not
/// touched. If they do not come until the client's deadline (two minutes at the most), or the user
/// interrupts, those that were there are put back. Returns how many were deleted. Throws ApiError
/// with nothing touched; Error that says what was put back, with the status of what ended the wait.
Task<std::size_t> rewrite_slices(kube::Client client, kube::Json service);

}  // namespace kcni::cni
