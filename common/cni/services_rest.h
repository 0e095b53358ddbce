// What goes with a Service: its status, and the Endpoints and slices written by hand.
#pragma once

#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/cni/backup.h"
#include "common/kube/client.h"

namespace kcni::cni {

/// The Service is there, but something is not as it was: what() says all of it.
class ServiceIsThere : public Error {
 public:
  using Error::Error;
};

/// Not all of what belongs to it is there.
class Incomplete : public ServiceIsThere {
 public:
  Incomplete(const kube::Json& service, const Error& reason);
  /// It could not be put back because its namespace is being deleted.
  bool namespace_ends() const { return namespace_ends_; }

 private:
  bool namespace_ends_ = false;
};

/// Whether the server said that the namespace is being deleted.
bool namespace_ends(const Error& error);

/// What belongs to the Service: the status, unless the new one has one already, and those of the
/// backup's Endpoints and EndpointSlices that went with the old Service. Stays until the control
/// plane's own clean-up is over. Returns those of them that were missing ("endpoints/web"). Throws
/// Incomplete, Interrupted.
Task<std::vector<std::string>> put_back_rest(kube::Client client, Backup backup,
                                             kube::Json new_service);

/// The same names, but nothing is put back. Throws ApiError.
Task<std::vector<std::string>> missing_rest(kube::Client client, Backup backup);

/// Lets the server check whether put_back_rest() may write the status, and those companions that
/// may go with the old Service. Throws ApiError.
Task<> check_rest_writable(kube::Client client, Backup backup);

}  // namespace kcni::cni
