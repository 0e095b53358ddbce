// Creating again what was just deleted, whatever stands in the way for a while.
#pragma once

#include <functional>
#include <string>

#include "common/kube/client.h"

namespace kcni::cni {

/// Where an object that the server has is not as it should be ("spec.ports[0].port"), or "".
using Difference = std::function<std::string(const kube::Json& found)>;

/// Told what is waited for, in a line for the user.
using Notice = std::function<void(const std::string& line)>;

/// What the answer to a create means to somebody who must get the object back.
enum class CreateOutcome {
  kMade,
  kExists,  ///< an object of that name is there
  kTaken,   ///< its clusterIP or a nodePort is held by somebody, perhaps not for long
  kLater,   ///< overload, a failing webhook, a quota that has not counted the delete yet
  kNo,      ///< the server will never have it
};
CreateOutcome judge_create(const kube::Answer& answer);

/// create_anew() gave up because an address or port was held by somebody else until the deadline.
class AddressTaken : public Error {
 public:
  explicit AddressTaken(const std::string& message) : Error(ExitStatus::kFailed, message) {}
};

/// Lets the server check whether it would create the object, before the old one is deleted. Returns
/// whether the old one is still there. Throws ApiError when it would not.
Task<bool> check_creatable(kube::Client client, const kube::Resource& resource, kube::Json wanted);

/// Creates the object, again and again until the deadline (or a minute after Ctrl-C, if that comes
/// first and the client goes on all the same) while that makes sense, and returns it as
/// the server has it. One that is there already and is as it should be is good as well: an earlier
/// try or another run made it. Throws Error (kFailed) when it is there but differs, AddressTaken,
/// ApiError, TimedOut, TransportError. The client's own deadline should not be the earlier one.
/// notice, if there is one, is told what stands in the way, after a second and every 30 s.
Task<kube::Json> create_anew(kube::Client client, Deadline deadline, const kube::Resource& resource,
                             kube::Json wanted, Difference difference, Notice notice = {});

/// Waits until no object of that name has that UID. Throws TimedOut at the client's deadline.
Task<> wait_gone(kube::Client client, const kube::Resource& resource, std::string ns,
                 std::string name, std::string uid);

}  // namespace kcni::cni
