// What of an object's metadata outlives its being made anew, and where two objects differ.
#pragma once

#include <string>

#include "common/kube/json.h"

namespace kcni::cni {

/// metadata as a create may carry it: what its user and the controllers wrote, less what the server
/// keeps itself (uid, resourceVersion, creationTimestamp, managedFields, deletion marks).
kube::Json fresh_metadata(const kube::Json& metadata);

enum class Extra {
  kDiffers,  ///< a field that only `found` has is a difference
  kIgnored,  ///< it is not; items of lists may stand in another order
};

/// "spec.ports[0].nodePort": the first field of `wanted` that `found` has otherwise, or "" when
/// there is none. A null value is as good as none.
std::string first_difference(const kube::Json& wanted, const kube::Json& found, Extra extra);

}  // namespace kcni::cni
